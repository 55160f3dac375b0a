"""From nothing but Debian to a server with verified TLS and an account: the time, and the steps.

::

    python -m bench.set_up                   # prosody, ejabberd and this checkout
    python -m bench.set_up xmppd

Each is on a machine of its own. The steps of the peers are those of their manuals; certbot has
been there for all three. A step is a command, or a file that is written by hand. What is told is
the time of the machine, mostly that of downloads: packages of Debian, and of Python for ours.
"""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from tests.fresh.__main__ import ACCOUNT, DOMAIN, LIVE, PASSWORD, certify
from tests.fresh.machine import CHECKOUT, FreshMachine
from tests.fresh.page import Commands, File, Step

UP_S = 30.0
NAME = ACCOUNT.partition("@")[0]

_OURS = f"""\
apt-get install --yes adduser python3-venv
adduser --system --group --home /var/lib/xmppd --no-create-home xmppd
python3 -m venv /opt/xmppd
/opt/xmppd/bin/pip install --quiet {CHECKOUT}
/opt/xmppd/bin/xmppd setup --yes --domain {DOMAIN} --admin {ACCOUNT} --stdin \
--certificate {LIVE}/fullchain.pem --key {LIVE}/privkey.pem
cp /opt/xmppd/share/xmppd/xmppd.service /etc/systemd/system/
systemctl enable --now xmppd
"""

_PROSODY = f"""\
apt-get install --yes prosody
prosodyctl --root cert import {LIVE.rpartition("/")[0]}
systemctl restart prosody
prosodyctl register {NAME} {DOMAIN} '{PASSWORD}'
"""

_EJABBERD = f"""\
apt-get install --yes ejabberd
install -o ejabberd -m 640 {LIVE}/fullchain.pem {LIVE}/privkey.pem /etc/ejabberd/
sed -i 's/^  - localhost$/  - {DOMAIN}/; s,/ejabberd.pem,/*.pem,' /etc/ejabberd/ejabberd.yml
systemctl restart ejabberd
ejabberdctl register {NAME} {DOMAIN} '{PASSWORD}'
"""

SERVERS: Mapping[str, Sequence[Step]] = {
    "prosody": (
        File("/etc/prosody/conf.d/example.org.cfg.lua", f'VirtualHost "{DOMAIN}"\n'),
        Commands(_PROSODY),
    ),
    "ejabberd": (Commands(_EJABBERD),),
    "xmppd": (Commands(_OURS),),
}
"""The steps of each; a ``sed`` stands for a file that is changed by hand."""


def follow(machine: FreshMachine, step: Step) -> tuple[int, int]:
    """Take a step; returns how many commands that were, and how many files."""
    if isinstance(step, File):
        machine.write(step.path, step.text.encode())
        return 0, 1
    commands = step.text.replace("\\\n", "").strip().splitlines()
    for command in commands:
        outside = command.startswith("apt-get") or "/pip " in command
        subprocess.run(
            machine.command("sh", "-exc", command, outside=outside),
            input=PASSWORD.encode(),
            stdout=subprocess.DEVNULL,
            check=True,
        )
    files = sum(command.startswith("sed") for command in commands)
    return len(commands) - files, files


def verified(machine: FreshMachine) -> bool:
    """Whether a client that trusts the authority alone gets TLS for the domain."""
    told = subprocess.run(
        machine.visited(
            "openssl", "s_client", "-starttls", "xmpp", "-xmpphost", DOMAIN,
            "-connect", "127.0.0.1:5222",
            "-CAfile", str(machine.work / "authority.pem"), "-verify_hostname", DOMAIN,
            "-verify_return_error",
        ),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return told.returncode == 0 and "Verification: OK" in told.stdout


def measure(name: str) -> str:
    """Set up one of them; returns its row."""
    with FreshMachine() as machine:
        certify(machine)
        subprocess.run(
            machine.command("apt-get", "update", outside=True),
            stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        began = time.monotonic()
        done = [follow(machine, step) for step in SERVERS[name]]
        until = time.monotonic() + UP_S
        while not verified(machine):
            assert time.monotonic() < until, f"{name} gives no TLS that is verified"
            time.sleep(0.2)
        took_s = time.monotonic() - began
    commands, files = map(sum, zip(*done, strict=True))
    return f"| {name} | {commands} | {files} | {took_s:.0f} |"


def main() -> None:
    """Measure those that are named, or all."""
    print("| server | commands | files by hand | s |\n|---|---|---|---|")
    for name in sys.argv[1:] or SERVERS:
        print(measure(name), flush=True)


if __name__ == "__main__":
    main()
