#!/bin/sh
# What the Makefile's words do. `sh etc/dev.sh WORD`; VENV and PYTHON choose another interpreter,
# as in `make test PYTHON=python3.13 VENV=.venv-3.13`.
set -eu

VENV=${VENV:-.venv}
BIN=$PWD/$VENV/bin
export PYTHONPATH="$PWD"
# Else each server that a test starts would compile all modules anew.
unset PYTHONDONTWRITEBYTECODE

fail() {
    echo "$*" >&2
    exit 1
}

# --- what the machine must have -----------------------------------------------------------------

# need COMMAND-THAT-PROVES-IT PACKAGE...: install Debian packages, or name them.
need() {
    proof=$1
    shift
    if eval "$proof" >/dev/null 2>&1; then return; fi
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "This needs the Debian package(s) $*: install with \"sudo apt-get install $*\" and try again."
    fi
    echo "Installing $*"
    {
        apt-get update -q &&
            DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@"
    } >&2 || fail "apt-get could not install $*: see its message above."
    eval "$proof" >/dev/null 2>&1 || fail "$* is installed, yet \"$proof\" still fails."
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

# The distribution's python3 first: it is built with profile-guided optimisation.
best_python() {
    for python in ${PYTHON:-/usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3}; do
        if is_new_enough "$python"; then
            echo "$python"
            return
        fi
    done
    return 1
}

environment() {
    if ! "$BIN/python" -c '' 2>/dev/null; then
        if [ -n "${PYTHON:-}" ] && ! is_new_enough "$PYTHON"; then
            fail "PYTHON=$PYTHON is not Python 3.11 or later: name another, or none."
        fi
        need best_python python3 python3-venv
        python=$(best_python)
        # A venv needs ensurepip, which Debian keeps in a package of its own.
        need "$python -c 'import ensurepip, venv'" python3-venv
        "$python" -m venv --clear "$VENV"
    fi
    echo "Installing xmppd and what it depends on into $VENV"
    "$BIN/python" -m pip install --quiet --disable-pip-version-check -e '.[test,dev,postgres,mysql,cluster,acme,ldap,oauth]'
}

# --- run ----------------------------------------------------------------------------------------

run() {
    "$BIN/xmppd" setup --trial --directory run
    exec "$BIN/twistd" -n --pidfile= xmppd --config run/xmppd.toml
}

# --- cluster ------------------------------------------------------------------------------------

NODES="a b c"

node_config() {
    cat <<TOML
data = "$1"
[[domain]]
name = "localhost"
certificate = "localhost.crt"
key = "localhost.key"
# A port of its own, and one that all nodes share.
[[listen]]
endpoint = "epoll:$2:interface=127.0.0.1"
[[listen]]
endpoint = "epoll:5222:interface=127.0.0.1:reuseport=yes"
[[listen]]
endpoint = "epoll:$3:interface=127.0.0.1"
kind = "node"
tls = "direct"
[s2s]
enabled = false
[storage]
url = "postgresql://postgres@/postgres?host=$WORK/pg"
[cluster]
redis = ["unix://$WORK/redis.sock"]
node = "$1"
secret_file = "secret"
address = "127.0.0.1:$3"
links = "${LINKS:-auto}"
TOML
}

start_redis() {
    need_redis
    redis-server --port 0 --unixsocket "$WORK/redis.sock" --save '' --dir "$WORK" \
        --daemonize yes --pidfile "$WORK/redis.pid" --logfile "$WORK/redis.log" >/dev/null
    until redis-cli -s "$WORK/redis.sock" ping >/dev/null 2>&1; do sleep 0.1; done
}

start_node() {
    : >"$WORK/$1.log"
    "$BIN/twistd" -n --pidfile= xmppd --config "$WORK/$1.toml" >>"$WORK/$1.log" 2>&1 &
    echo $! >"$WORK/$1.pid"
    until grep -q "xmppd is up" "$WORK/$1.log"; do
        kill -0 "$(cat "$WORK/$1.pid")" 2>/dev/null || { cat "$WORK/$1.log" >&2; fail "Node $1 did not start."; }
        sleep 0.1
    done
}

# Ctrl-C ends all of it, and nothing is left.
cluster() {
    workspace
    start_postgres
    start_redis
    "$BIN/xmppd" setup --directory "$WORK" >/dev/null
    (umask 077 && openssl rand -hex 32 >"$WORK/secret")
    port=5321
    for node in $NODES; do
        node_config $node $port $((port + 100)) >"$WORK/$node.toml"
        start_node $node
        port=$((port + 1))
    done
    for name in romeo juliet; do
        echo wherefore | "$BIN/xmppctl" --config "$WORK/a.toml" user add --stdin "$name@localhost" >/dev/null
    done
    echo "Three nodes are one service. romeo@localhost and juliet@localhost have the password \"wherefore\"."
    port=5321
    for node in $NODES; do
        echo "node $node  connect: 127.0.0.1:$port (STARTTLS)  ask: $BIN/xmppctl --config $WORK/$node.toml status"
        echo "        log: $WORK/$node.log  kill: kill -9 \$(cat $WORK/$node.pid)"
        echo "        start again: sh etc/dev.sh again $WORK $node"
        port=$((port + 1))
    done
    echo "127.0.0.1:5222 is whichever node the kernel chooses. Ctrl-C ends all."
    while :; do
        sleep 3600 &
        echo $! >"$WORK/0.pid"
        wait $!
    done
}

# Start a node of a running cluster again, in whose directory it is.
again() {
    WORK=$1
    start_node "$2"
    echo "node $2 is up"
}

# --- test ---------------------------------------------------------------------------------------

WORK=
PG_BIN=
LANES=

postgres_bin() {
    for directory in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
        if [ -x "$directory/initdb" ]; then PG_BIN=$directory; fi
    done
    if [ -z "$PG_BIN" ]; then
        initdb=$(command -v initdb) || return 1
        PG_BIN=$(dirname "$initdb")
    fi
}

# PostgreSQL refuses to run as root.
unprivileged() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && setpriv --reuid=nobody --regid="$(id -g nobody)" --clear-groups -- "$@")
    else
        "$@"
    fi
}

start_postgres() {
    need postgres_bin postgresql
    postgres_bin
    mkdir "$WORK/pg"
    if [ "$(id -u)" = 0 ]; then
        chmod 711 "$WORK"
        chown nobody "$WORK/pg"
    fi
    unprivileged "$PG_BIN/initdb" --pgdata="$WORK/pg/data" --username=postgres --auth=trust \
        --encoding=UTF8 --locale=C --no-sync >"$WORK/initdb.log" ||
        { cat "$WORK/initdb.log" >&2; fail "PostgreSQL's initdb failed."; }
    unprivileged "$PG_BIN/pg_ctl" start --wait --silent --pgdata="$WORK/pg/data" \
        --log="$WORK/pg/log" --options="-F -h '' -k $WORK/pg" ||
        { cat "$WORK/pg/log" >&2; fail "PostgreSQL did not start."; }
    export XMPPD_TEST_POSTGRES="postgresql://postgres@/postgres?host=$WORK/pg"
}

# What a lane has started ends with it.
end_tree() {
    for child in $(pgrep -P "$1"); do end_tree "$child"; done
    kill "$1" 2>/dev/null || true
}

clean_up() {
    for lane in $LANES; do end_tree "$lane"; done
    for file in "$WORK"/?.pid "$WORK/redis.pid"; do
        if [ -f "$file" ]; then kill "$(cat "$file")" 2>/dev/null || true; fi
    done
    wait
    if [ -f "$WORK/pg/data/postmaster.pid" ]; then
        unprivileged "$PG_BIN/pg_ctl" stop --mode=immediate --silent --pgdata="$WORK/pg/data"
    fi
    rm -rf "$WORK"
}

workspace() {
    WORK=$(mktemp -d /tmp/xmppd-test.XXXXXX)
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

# Somebody else's server, which asks the name server of the tests by libunbound, and keeps what moves in SQLite.
prosody_is_there() {
    command -v prosody && lua5.4 -e 'require "lunbound"; require "DBI"'
}

need_prosody() {
    if prosody_is_there >/dev/null 2>&1; then return; fi
    need prosody_is_there prosody lua-unbound lua-dbi-sqlite3
    # Debian starts one at the ports that `make run` wants.
    systemctl disable --now prosody >&2 || service prosody stop >&2 || true
}

# One more server of somebody else's, from which people move; it keeps them in SQLite, too.
ejabberd_is_there() {
    command -v ejabberdctl && ls -d /usr/lib/erlang/lib/p1_sqlite3-*
}

need_ejabberd() {
    if ejabberd_is_there >/dev/null 2>&1; then return; fi
    need ejabberd_is_there ejabberd erlang-p1-sqlite3
    systemctl disable --now ejabberd >&2 || service ejabberd stop >&2 || true
}

# The database that Openfire brings, whose script is read.
hsqldb_is_there() {
    command -v javac && ls /usr/share/java/hsqldb.jar
}

# A database in which others keep what moves; the tests start one of their own.
need_mariadb() {
    if [ -x /usr/sbin/mariadbd ]; then return; fi
    need "[ -x /usr/sbin/mariadbd ]" mariadb-server
    systemctl disable --now mariadb >&2 || service mariadb stop >&2 || true
}

# The tests start as many as they want, and Sentinels, which are the same program.
need_redis() {
    if command -v redis-server >/dev/null; then return; fi
    need "command -v redis-server" redis-server
    # Debian starts one at the usual port.
    systemctl disable --now redis-server >&2 || service redis-server stop >&2 || true
}

# Clients of other people, from npm: the versions that the lock file names, in a folder of our own.
CLIENTS=tests/integration/xmppjs

node_is_there() {
    npm --version && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'
}

clients() {
    # What it says that it needs is older than what xmppd needs: see the file.
    if ! "$BIN/python" -c 'import aioxmpp' 2>/dev/null; then
        echo "Installing aioxmpp from PyPI"
        "$BIN/python" -m pip install --quiet --disable-pip-version-check --no-deps \
            -r tests/integration/aioxmpp.txt
    fi
    need node_is_there nodejs npm
    if cmp -s "$CLIENTS/package-lock.json" .node/installed.json; then return; fi
    echo "Installing clients from npm into .node"
    rm -rf .node
    mkdir .node
    cp "$CLIENTS/package.json" "$CLIENTS/package-lock.json" .node
    (cd .node && npm ci --ignore-scripts --no-audit --no-fund) >&2 ||
        fail "npm could not install what $CLIENTS/package-lock.json names: see its message above."
    cp "$CLIENTS/package-lock.json" .node/installed.json
}

# What draws graphs in the console, from npm: the version and the integrity that the lock file names. It is
# put beside our own scripts, and from there into a wheel; without it the console has the server's drawings.
ASSETS=etc/assets
STATIC=xmppd/console/static

assets() {
    if cmp -s "$ASSETS/package-lock.json" .assets/installed.json && [ -f "$STATIC/uPlot.iife.min.js" ]; then return; fi
    need node_is_there nodejs npm
    echo "Installing what draws graphs from npm into $STATIC"
    rm -rf .assets
    mkdir .assets
    cp "$ASSETS/package.json" "$ASSETS/package-lock.json" .assets
    (cd .assets && npm ci --ignore-scripts --no-audit --no-fund) >&2 ||
        fail "npm could not install what $ASSETS/package-lock.json names: see its message above."
    cp .assets/node_modules/uplot/dist/uPlot.iife.min.js .assets/node_modules/uplot/dist/uPlot.min.css "$STATIC"
    cp .assets/node_modules/uplot/LICENSE "$STATIC/uPlot.LICENSE"
    cp "$ASSETS/package-lock.json" .assets/installed.json
}

wheel() {
    assets
    rm -rf build
    "$BIN/python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
    ls dist/xmppd-*.whl
}

# A browser, which the tests drive by playwright.
browser() {
    need "command -v chromium" chromium
}

# Proxies in front, none of which is to listen by itself.
proxies_are_there() {
    command -v caddy && PATH="$PATH:/usr/sbin" command -v nginx && PATH="$PATH:/usr/sbin" command -v haproxy
}

proxies() {
    if proxies_are_there >/dev/null 2>&1; then return; fi
    need proxies_are_there nginx-light haproxy caddy
    for service in nginx haproxy caddy; do
        systemctl disable --now "$service" >&2 || service "$service" stop >&2 || true
    done
}

# A TURN server, and a client of it.
coturn() {
    need "command -v turnserver && command -v turnutils_uclient" coturn
}

# Reads units as systemd does.
systemd_analyze() {
    need "command -v systemd-analyze" systemd
}

# A directory, which is not to listen by itself.
ldap_is_there() {
    PATH="$PATH:/usr/sbin" command -v slapd && command -v ldapadd
}

ldap() {
    if ldap_is_there >/dev/null 2>&1; then return; fi
    need ldap_is_there slapd ldap-utils
    systemctl disable --now slapd >&2 || service slapd stop >&2 || true
}

# An authority that signs certificates, and its name server.
pebble() {
    need "command -v pebble && command -v pebble-challtestsrv" pebble
}

# A client in Perl.
net_xmpp_is_there() {
    perl -MNet::XMPP -e 1
}

# Sets the clock of one process.
faketime_is_there() {
    ls /usr/lib/*/faketime/libfaketimeMT.so.1
}

# Shells that complete the words of xmppctl.
shells() {
    need "command -v zsh && command -v fish" zsh fish
}

# Compiles modules. Debian keeps what C has to know of Python in a package of its own.
compiler_is_there() {
    command -v gcc &&
        "$BIN/python" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")'
}

# A copy of the checkout, which itself stays pure: a compiled module would hide each change of its source.
copy_to() {
    need compiler_is_there gcc libc6-dev python3-dev
    mkdir "$1"
    tar --create --exclude=./.git --exclude='./.venv*' --exclude=./.node --exclude=./run --exclude=./dist \
        --exclude=./build --exclude=./docs/_build --exclude='./_trial_temp*' --exclude='./.*_cache' \
        --exclude='*.so' --exclude=__pycache__ . | tar --extract --directory="$1"
}

# compiled COMMAND...: run it where xmppd is the compiled build.
compiled() {
    if [ ! -d "$WORK/compiled" ]; then
        copy_to "$WORK/compiled"
        (cd "$WORK/compiled" && XMPPD_COMPILED=1 "$BIN/python" setup.py --quiet build_ext --inplace) \
            >"$WORK/build.log" 2>&1 || { cat "$WORK/build.log"; return 1; }
    fi
    (cd "$WORK/compiled" && export PYTHONPATH="$PWD" && "$@")
}

trial() {
    lane=$1
    shift
    "$BIN/python" -m twisted.trial --temp-directory="$WORK/trial.$lane" "$@"
}

# From trial's last lines to "passed failed skipped", with each test that was skipped or failed by name,
# and the last thing that was said of it, in $WORK/named. A run that did not reach its summary (a crash)
# counts as one failure.
summary() {
    awk -v named="$WORK/named" '
        /^\[(SKIPPED|FAIL|ERROR|SUCCESS!\?!)\]$/ { kind = substr($0, 2, length($0) - 2); reason = ""; next }
        /^(===|---)/ { kind = "" }
        kind && /^tests\.[^ ]+$/ { print kind " " $0 ": " reason >> named; next }
        kind && /^[^ ]/ { reason = $0 }
        /^(PASSED|FAILED)/ {
            done = 1
            gsub(/[(),]/, " ")
            for (i = 2; i <= NF; i++) { split($i, pair, "="); n[pair[1]] += pair[2] }
        }
        END {
            passed = n["successes"] + n["expectedFailures"]
            failed = n["failures"] + n["errors"] + n["unexpectedSuccesses"] + !done
            print passed, failed, n["skips"] + 0
        }' "$1"
}

# What starts servers waits for them for half of its time: the rest is done meanwhile.
SERVERS="tests.integration tests.drill tests.faults tests.canary"

the_rest() {
    for test in tests/*/__init__.py tests/test_*.py; do
        module=$(echo "${test%/__init__.py}" | sed 's/\.py$//' | tr / .)
        case " $SERVERS " in *" $module "*) ;; *) echo "$module" ;; esac
    done
}

# lane NAME MODULE...: one run of trial, with what became of it in $WORK/NAME.status.
lane() {
    code=0
    trial "$@" 2>&1 || code=$?
    echo "$code" >"$WORK/$1.status"
}

# The rooms whose modules are compiled, what reads their source, what replaces and watches them, and all
# that stanzas pass through. What test_work and test_walk note are calls as the interpreter sees them.
compiled_tests() {
    for room in stanza stream session routing roster message router trace; do echo "tests.unit.$room"; done
    echo tests.unit.plugin.test_mistakes tests.unit.plugin.test_seams tests.unit.plugin.test_plugin_manager
    for test in tests/scenarios/test_*.py; do
        case $test in */test_work.py | */test_walk.py) ;; *) echo "${test%.py}" | tr / . ;; esac
    done
}

# The last line counts trial's tests and each step of `check` as one.
tests() {
    workspace
    need_prosody
    need_ejabberd
    need_mariadb
    need hsqldb_is_there libhsqldb-java default-jdk-headless
    clients
    assets
    browser
    coturn
    pebble
    ldap
    systemd_analyze
    proxies
    need faketime_is_there faketime
    need net_xmpp_is_there libnet-xmpp-perl
    shells
    need_redis
    need compiler_is_there gcc libc6-dev python3-dev
    start_postgres
    passed=0 failed=0 skipped=0
    {
        lane rest $(the_rest)
        for step in $STEPS; do
            if step "$step"; then counts="1 0"; else counts="0 1"; fi
            echo "$counts" >>"$WORK/steps"
        done
        compiled lane compiled $(compiled_tests) >"$WORK/compiled.log" 2>&1 ||
            echo 1 >"$WORK/compiled.status"
    } >"$WORK/rest.log" &
    rest=$!
    # Not into a pipe: a program that a test starts, like node, may leave it so that writing does not wait.
    : >"$WORK/servers.log"
    lane servers $SERVERS >"$WORK/servers.log" &
    servers=$!
    tail --lines=+1 --follow --pid="$servers" "$WORK/servers.log" &
    tail=$!
    LANES="$rest $servers $tail"
    wait "$servers" "$rest" "$tail" # only while it waits for these a signal is heeded
    LANES=
    cat "$WORK/rest.log" "$WORK/compiled.log"
    for lane in servers rest compiled; do
        set -- $(summary "$WORK/$lane.log")
        # Trial may fail without a test that does.
        if [ "$(cat "$WORK/$lane.status")" != 0 ] && [ "$2" = 0 ]; then failed=$((failed + 1)); fi
        passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3))
    done
    while read -r good bad; do
        passed=$((passed + good)) failed=$((failed + bad))
    done <"$WORK/steps"
    if [ -f "$WORK/named" ]; then cat "$WORK/named"; fi
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
}

# What clients of one server see, with each client at the next of three nodes.
SUITES="scenarios walk login carbons features sasl2 inline_resumption resumption"

nodes() {
    workspace
    need_redis
    start_postgres
    export XMPPD_TEST_NODES=3
    trial nodes $(for suite in $SUITES; do echo "tests.integration.test_$suite"; done)
}

# FAULT names some, LINKS one way; without them all are run, in both ways.
faults() {
    workspace
    need_redis
    start_postgres
    "$BIN/python" -m tests.faults.matrix ${FAULT:-} ${LINKS:+--links "$LINKS"} ${SEED:+--seed "$SEED"}
}

# What is lost, doubled or out of order, and what is missing from archives, over so many kills.
kills() {
    workspace
    start_postgres
    for storage in "" "$XMPPD_TEST_POSTGRES"; do
        "$BIN/python" -m bench.kills --kills "${KILLS:-200}" --stops 20 --archive \
            ${SEED:+--seed "$SEED"} ${storage:+--storage "$storage"}
    done
    "$BIN/python" -m bench.upload_kills ${SEED:+--seed "$SEED"}
    export XMPPD_IMPORT_KILLS="${IMPORT_KILLS:-12}"
    trial kills tests.integration.test_moving_kills
}

# In a mount namespace of its own, which has the disk that gets full.
drill() {
    need_prosody
    own=--map-root-user
    if [ "$(id -u)" = 0 ]; then own=; fi
    XMPPD_DRILL_DISK=1 unshare --mount $own "$BIN/python" -m tests.drill ${PEOPLE:+--clients "$PEOPLE"} \
        ${WORDS:-}
}

doubles() {
    clients
    need "command -v profanity" profanity
    "$BIN/python" -m tests.clients.doubles
}

# Packages are fetched as anybody would; Debian's base system once.
fresh() {
    need "command -v debootstrap" debootstrap
    "$BIN/python" -m tests.fresh
    "$BIN/python" -m tests.fresh.image
}

attack() {
    workspace
    export XMPPD_API_EXAMPLES="${EXAMPLES:-200}" SEED="${SEED:-1}"
    trial attack tests.integration.test_api
}

# --- check --------------------------------------------------------------------------------------

STEPS="lint formatting types imports spelling docs"

lint() { "$BIN/ruff" check --quiet .; }
formatting() { "$BIN/ruff" format --quiet --check .; }
types() { "$BIN/mypy" --no-error-summary xmppd xmppd_plugins tests bench; }
imports() { "$BIN/lint-imports" --config setup.cfg; }
spelling() { "$BIN/codespell"; }
docs() {
    rm -rf docs/reference # made from the modules there are now
    "$BIN/sphinx-build" -q -n -W --keep-going docs docs/_build/html
}

house() {
    workspace
    trial house tests.test_house
}

step() {
    if output=$("$1" 2>&1); then
        echo "ok    $1"
    else
        echo "$output"
        echo "FAIL  $1"
        return 1
    fi
}

check() {
    bad=
    for step in $STEPS house; do
        step "$step" || bad="$bad $step"
    done
    [ -z "$bad" ] || fail "make check failed:$bad"
}

coverage() {
    workspace
    need_prosody
    need_ejabberd
    need_mariadb
    need hsqldb_is_there libhsqldb-java default-jdk-headless
    clients
    assets
    browser
    coturn
    pebble
    ldap
    systemd_analyze
    proxies
    need faketime_is_there faketime
    need net_xmpp_is_there libnet-xmpp-perl
    shells
    need_redis
    need compiler_is_there gcc libc6-dev python3-dev
    start_postgres
    "$BIN/coverage" erase
    "$BIN/coverage" run -m twisted.trial --temp-directory="$WORK/trial" tests || true
    "$BIN/coverage" combine --quiet
    "$BIN/coverage" report
}

# --- more ---------------------------------------------------------------------------------------

fuzz() {
    workspace
    "$BIN/python" -m tests.unit.stream.fuzz_stream_parser 60
    compiled "$BIN/python" -m tests.unit.stream.both_builds 20000
    "$BIN/python" -m tests.unit.web.fuzz_web_socket 1000000
    "$BIN/python" -m tests.poison --stanzas 100000
    "$BIN/python" -m tests.odd_ways 120
    "$BIN/python" -m tests.fuzz --temp-directory="$WORK/trial" \
        $(grep -rl --include='test_*.py' '^from hypothesis' tests)
    need_redis
    start_postgres
    SEED=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
    export SEED
    echo "SEED=$SEED"
    trial fuzz $(grep -rl 'some_seed()' tests | sed -n 's|^\(.*/test_[a-z_]*\)\.py$|\1|p' | tr / .) tests.unit.store
}

simulate() {
    "$BIN/python" -m tests.simulation "$@"
}

bench() {
    "$BIN/python" -m bench.compare "$@"
}

# For this machine, and for the version of Python that $BIN has.
wheel_compiled() {
    workspace
    copy_to "$WORK/source"
    XMPPD_COMPILED=1 "$BIN/python" -m pip wheel --quiet --disable-pip-version-check --no-deps \
        --no-build-isolation --wheel-dir dist "$WORK/source"
    ls -t dist/xmppd-*.whl | head -n 1
}

bench_cluster() {
    need_redis
    need postgres_bin postgresql
    "$BIN/python" -m bench.cluster "$@"
}

word=$1
shift
case $word in
    environment | run | cluster | again | nodes | faults | kills | drill | fresh | doubles | check | coverage | bench | bench_cluster | simulate | fuzz | wheel_compiled | attack | docs | clients | assets | wheel | browser | coturn | proxies | ldap) "$word" "$@" ;;
    test) tests "$@" ;;
    *) fail "etc/dev.sh knows no \"$word\"." ;;
esac
