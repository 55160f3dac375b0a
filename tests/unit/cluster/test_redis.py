"""The door to Redis: what it promises while Redis is well, and while it is not."""

import subprocess
import sys
from pathlib import Path
from typing import cast

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Protocol, ServerFactory

from tests.redis_server import own_prefix, shared_redis
from tests.unit.cluster.redis_case import RedisCase, sentences, with_user
from xmppd.cluster import redis as redis_module
from xmppd.cluster.redis_connection import MAX_UNDER_WAY
from xmppd.cluster.redis_errors import RedisAway, RedisRefusal
from xmppd.cluster.script import Script
from xmppd.config.redis_url import RedisURL
from xmppd.testing.signing_authority import SigningAuthority

ROOT = Path(__file__).parents[3]
SECRET = "s3cret/with@signs"
QUOTED = "s3cret%2Fwith%40signs"


def run(code: str) -> str:
    """What a Python of its own prints."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()


class RuleTests(RedisCase):
    """What txredisapi is used for, and what it is kept from."""

    def test_hiredis_is_needed(self) -> None:
        """Without hiredis nothing starts, and somebody is told what to install."""
        code = """if True:
            import sys
            sys.modules["hiredis"] = None
            from xmppd.cluster.redis import Redis
            from xmppd.config.config import ClusterSettings
            try:
                Redis(ClusterSettings(redis=("redis://localhost",)), None)
            except Exception as error:
                print(error)
        """
        self.assertEqual(run(code), "a cluster needs hiredis: install xmppd[cluster]")

    def test_only_where_it_is_used(self) -> None:
        """A server that is alone knows nothing of Redis: its reactor stays the one it has."""
        code = """if True:
            import sys
            import twisted.plugins.xmppd_plugin, xmppd.app, xmppd.service, xmppd.ctl.main
            print([name for name in sys.modules if "redis" in name and "redis_url" not in name])
        """
        self.assertEqual(run(code), "[]")

    async def test_values_stay_as_they_are(self) -> None:
        """What looks like a number, or is no text, comes back as it was."""
        redis = await self.open(shared_redis().url)
        key = own_prefix()
        for value in (b"007", b"+49151", b"1.0", b"\xff\x00\r\n$1\r\n", b"", "ü".encode()):
            await redis.execute("SET", key, value)
            self.assertEqual(await redis.execute("GET", key), value)
        self.assertEqual(await redis.execute("INCR", own_prefix()), 1)
        self.assertIsNone(await redis.execute("GET", own_prefix()))

    async def test_no_value_is_a_command(self) -> None:
        """Not even one that says what Redis says in a transaction."""
        redis = await self.open(shared_redis().url)
        key = own_prefix()
        for value in (b"QUEUED", b"OK", b"message", b"x\r\nFLUSHALL\r\n", b"*1\r\n$8\r\nFLUSHALL"):
            await redis.execute("HSET", key, "message", value)
            self.assertEqual(await redis.execute("HGETALL", key), [b"message", value])
            self.assertEqual(await redis.execute("HVALS", key), [value])

    async def test_nothing_piles_up(self) -> None:
        """While Redis is away commands fail at once, and are never sent."""
        server = self.server()
        redis = await self.open(server.url)
        server.kill()
        await self.until(lambda: redis.away)
        for _ in range(100):
            with self.assertRaises(RedisAway) as raised:
                await redis.execute("INCR", "n")
            self.assertFalse(raised.exception.tried)
        server.start()
        await self.until(lambda: not redis.away)
        self.assertIsNone(await redis.execute("GET", "n"))

    async def test_hung(self) -> None:
        """A Redis that does not answer for a second is away until it answers again."""
        server = self.server()
        redis = await self.open(server.url)
        log = self.log()
        server.hang()
        self.addCleanup(server.go_on)
        both = await gatherResults(
            [Deferred.fromCoroutine(self.refusal(redis.execute("PING"))) for _ in range(2)]
        )
        late = f"Redis at {server.url} has not answered for 1 s: it hangs, is overloaded, or out of"
        self.assertEqual(both, [f"{late} reach"] * 2)
        self.assertTrue(redis.away)
        self.assertEqual(await self.refusal(redis.execute("PING")), f"{late} reach")
        server.go_on()
        await self.until(lambda: not redis.away)
        self.assertEqual(await redis.execute("PING"), b"PONG")
        self.assertEqual(sentences(log), [f"{late} reach", f"Redis at {server.url} is back"])

    async def test_too_much_under_way(self) -> None:
        """A Redis that is slow gets 10,000 commands to answer, and no more."""
        server = self.server()
        redis = await self.open(server.url)
        server.hang()
        self.addCleanup(server.go_on)
        under_way = [
            Deferred.fromCoroutine(self.refusal(redis.execute("INCR", "n")))
            for _ in range(MAX_UNDER_WAY)
        ]
        self.assertEqual(
            await self.refusal(redis.execute("INCR", "n")),
            f"Redis at {server.url} has not answered 10000 commands yet",
        )
        server.go_on()
        for each in under_way:
            each.addErrback(lambda _: None)

    async def test_wrong_password(self) -> None:
        """A wrong password is told at once, and tried again: it may be put right at Redis."""
        server = self.server(users=("alice on >other ~x:* &x:* +@all",))
        url = with_user(server.url, "alice", QUOTED)
        told = await self.refusal(self.open(url))
        self.assertEqual(
            told, f"Redis at {server.url} refuses user alice with the password in cluster.redis"
        )
        server.ask("ACL", "SETUSER", "alice", f">{SECRET}")
        redis = await self.open(url)
        log = self.log()
        server.ask("ACL", "SETUSER", "alice", f"<{SECRET}")
        server.ask("CLIENT", "KILL", "TYPE", "normal")
        await self.until(lambda: told in sentences(log))
        server.ask("ACL", "SETUSER", "alice", f">{SECRET}")
        await self.until(lambda: not redis.away)
        self.assertNotIn(SECRET, repr(log) + repr(RedisURL.parse(url)) + repr(vars(redis)))


class SubscriptionTests(RedisCase):
    """What is published is heard, and what was missed is noticed."""

    async def test_hears(self) -> None:
        """A subscription logs in like any other connection; each channel has its own."""
        server = self.server("--requirepass", "no", users=(f"alice on >{SECRET} ~x:* &x:* +@all",))
        redis = await self.open(with_user(server.url, "alice", QUOTED))
        one, other = list[bytes](), list[bytes]()
        redis.subscribe("x:one", one.append)
        redis.subscribe("x:other", other.append)
        await self.until(lambda: one == other == [b""])
        self.assertEqual(await redis.execute("PUBLISH", "x:one", b"007"), 1)
        self.assertEqual(await redis.execute("PUBLISH", "x:other", b"message"), 1)
        await self.until(lambda: len(one) == len(other) == 2)
        self.assertEqual((one, other), ([b"", b"007"], [b"", b"message"]))

    async def test_hears_again(self) -> None:
        """After Redis was away the channel is heard again; who listens is told that something may
        have been missed.
        """
        server = self.server()
        redis = await self.open(server.url)
        heard = list[bytes]()
        subscription = redis.subscribe("x:news", heard.append)
        await self.until(lambda: heard == [b""])
        before = redis.run_ids
        server.restart_empty()
        await self.until(lambda: redis.run_ids != before)
        # Nobody may be there yet to hear it: that is what the number says.
        await redis.execute("PUBLISH", "x:news", "lost or not")
        await self.until(lambda: heard.count(b"") == 2)
        self.assertEqual(await redis.execute("PUBLISH", "x:news", "look now"), 1)
        await self.until(lambda: heard[-1] == b"look now")
        await subscription.stop()
        self.assertEqual(await redis.execute("PUBLISH", "x:news", "nobody"), 0)

    async def test_hung(self) -> None:
        """A Redis that says nothing any more is noticed, though nothing was asked of it."""
        self.patch(redis_module, "PING_S", 0.05)
        server = self.server()
        redis = await self.open(server.url)
        heard = list[bytes]()
        redis.subscribe("x:news", heard.append)
        await self.until(lambda: heard == [b""])
        server.hang()
        self.addCleanup(server.go_on)
        await self.until(lambda: "not answered" in str(redis.subscriptions[0].why))
        server.go_on()
        await self.until(lambda: heard == [b"", b""])


class StateTests(RedisCase):
    """Whether it is there, and which one it is."""

    async def test_watched(self) -> None:
        """Whoever watches is called when Redis goes and when it comes back; another process is
        another one.
        """
        server = self.server()
        redis = await self.open(server.url)
        before = redis.run_ids
        seen = list[tuple[bool, bool]]()
        redis.watch(lambda: seen.append((redis.away, redis.run_ids == before)))
        server.restart_empty()
        await self.until(lambda: len(seen) >= 2 and not redis.away)
        self.assertEqual((seen[0], seen[-1]), ((True, True), (False, False)))
        self.assertEqual(len(before), 40)

    async def test_connection_lost(self) -> None:
        """What was under way when the connection was lost may have been done."""
        server = self.server()
        redis = await self.open(server.url)
        server.hang()
        answer = Deferred.fromCoroutine(redis.execute("INCR", "n"))
        server.kill()
        with self.assertRaises(RedisAway) as raised:
            await answer
        self.assertTrue(raised.exception.tried)
        self.assertEqual(str(raised.exception), f"Redis at {server.url} has closed the connection")

    async def test_several(self) -> None:
        """What belongs to accounts is spread; one that is away does not matter to the others."""
        servers = [self.server(), self.server()]
        redis = await self.open(*(server.url for server in servers))
        shards = [redis.shard_of(f"user{n}@example.org") for n in range(1000)]
        self.assertTrue(400 < sum(shards) < 600)
        await redis.execute("SET", "k", "v", shard=1)
        self.assertEqual((servers[0].ask("GET", "k"), servers[1].ask("GET", "k")), (None, b"v"))
        servers[1].kill()
        await self.until(lambda: redis.away)
        self.assertEqual(await redis.execute("PING"), b"PONG")
        with self.assertRaises(RedisAway):
            await redis.execute("PING", shard=1)

    async def test_one_twice(self) -> None:
        """A Redis that is listed twice by different names is found out."""
        server = self.server(tcp=True)
        told = await self.refusal(self.open(server.url, f"unix://{server.path}"))
        self.assertEqual(told, "cluster.redis names one Redis twice: remove one of its URLs")

    async def test_dedicated(self) -> None:
        """Whoever waits in Redis has a connection of their own, and holds up nobody."""
        redis = await self.open(shared_redis().url)
        connection = await redis.dedicated()
        key = own_prefix()
        waits = connection.execute("XREAD", "BLOCK", 5000, "STREAMS", key, "$", within_s=10)
        reading = Deferred.fromCoroutine(waits)
        added = await redis.execute("XADD", key, "*", "frame", b"\x00")
        self.assertEqual(await reading, [[key.encode(), [[added, [b"frame", b"\x00"]]]]])
        connection.drop("is not needed")
        self.assertEqual(
            await self.refusal(connection.execute("PING")),
            f"Redis at {shared_redis().url} is not needed",
        )
        await connection.closed


class ScriptTests(RedisCase):
    """Scripts, by their digest."""

    ADD = Script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    REFUSE = Script("return redis.error_reply('FENCED this generation is')")

    async def test_is_known_again(self) -> None:
        """A script runs also when Redis has forgotten it, or was restarted."""
        server = self.server()
        redis = await self.open(server.url)
        self.assertEqual(await redis.call(self.ADD, ["n"], 2), 2)
        self.assertEqual(await redis.call(self.ADD, ["n"], 2), 4)
        server.ask("SCRIPT", "FLUSH")
        self.assertEqual(await redis.call(self.ADD, ["n"], 2), 6)

    async def test_refuses(self) -> None:
        """What a script refuses has a word, and is nothing to log."""
        redis = await self.open(shared_redis().url)
        log = self.log()
        with self.assertRaises(RedisRefusal) as raised:
            await redis.call(self.REFUSE, [])
        self.assertEqual(raised.exception.word, "FENCED")
        self.assertEqual(sentences(log), [])


class TroubleTests(RedisCase):
    """What Redis may say, each with a sentence that says what to change."""

    async def test_nobody_there(self) -> None:
        """A start without Redis says where it was sought."""
        missing = "unix:///tmp/xmppd-no-redis"
        self.assertEqual(
            await self.refusal(self.open(missing)),
            f"Redis at {missing} cannot be reached: 2: No such file or directory",
        )

    async def test_nobody_answers(self) -> None:
        """A start with a Redis that hangs says so, too."""
        server = self.server()
        server.hang()
        self.addCleanup(server.go_on)
        self.assertIn("has not answered for 1 s", await self.refusal(self.open(server.url)))

    async def test_no_right(self) -> None:
        """A command that the user may not run is named, and what lets them run it."""
        server = self.server(users=(f"alice on >{SECRET} ~x:* &x:* +@all -hset",))
        redis = await self.open(with_user(server.url, "alice", QUOTED))
        log = self.log()
        told = f"Redis at {server.url} does not let user alice "
        for words, right in (
            (("HSET", "x:a", "b", "c"), "run HSET: grant +hset (ACL SETUSER)"),
            (("GET", "y"), "use a key: grant ~NAME:* (ACL SETUSER), where NAME is cluster.name"),
            (
                ("PUBLISH", "y", "z"),
                "use a channel: grant &NAME:* (ACL SETUSER), where NAME is cluster.name",
            ),
        ):
            self.assertEqual(await self.refusal(redis.execute(*words)), told + right)
        script = Script("return redis.call('HSET', KEYS[1], 'b', 'c')")
        self.assertIn("run the server's scripts", await self.refusal(redis.call(script, ["x:a"])))
        self.assertFalse(redis.away)
        self.assertEqual(len(sentences(log)), 1)
        self.assertTrue(sentences(log)[0].startswith(told))

    async def test_no_password(self) -> None:
        """A Redis that wants a password is not used without."""
        server = self.server("--requirepass", SECRET)
        self.assertEqual(
            await self.refusal(self.open(server.url)),
            f"Redis at {server.url} requires a password: add user and password to the URL in "
            "cluster.redis",
        )

    async def test_no_memory(self) -> None:
        """A Redis that is full says no to what would need more, and is there for all else."""
        server = self.server("--maxmemory", "1")
        redis = await self.open(server.url)
        log = self.log()
        full = (
            f"Redis at {server.url} has no memory left: raise its maxmemory, or let nobody else "
            "use it"
        )
        for _ in range(3):
            self.assertEqual(await self.refusal(redis.execute("SET", "a", "b")), full)
        self.assertIsNone(await redis.execute("GET", "a"))
        self.assertEqual(sentences(log), [full])

    async def test_forgets(self) -> None:
        """A Redis that makes room by forgetting what it was told is complained about."""
        server = self.server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
        log = self.log()
        await self.open(server.url)
        self.assertIn("set its maxmemory-policy to noeviction", sentences(log)[0])

    async def test_loading(self) -> None:
        """A Redis that reads what it had saved is away until it has."""
        server = self.server(
            "--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024"
        )
        for n in range(100):
            server.ask("SET", f"key{n}", "x" * 100)
        server.ask("SAVE")
        redis = await self.open(server.url)
        log = self.log()
        server.kill()
        server.launch()
        loading = f"Redis at {server.url} is still loading its data"
        await self.until(lambda: loading in sentences(log))
        self.assertEqual(await self.refusal(redis.execute("PING")), loading)
        await self.until(lambda: not redis.away)

    async def test_replica(self) -> None:
        """A replica is of no use, whether it is one at the start or becomes one."""
        server, replica = self.server(tcp=True), self.server()
        redis = await self.open(replica.url)
        log = self.log()
        replica.ask("REPLICAOF", "127.0.0.1", str(server.port))
        told = (
            f"Redis at {replica.url} is a replica, and takes no writes: name its master in "
            f"cluster.redis, or the Sentinels that know it in cluster.sentinels"
        )
        self.assertEqual(await self.refusal(redis.execute("SET", "a", "b")), told)
        self.assertTrue(redis.away)
        self.assertEqual(sentences(log), [told])
        self.assertEqual(await self.refusal(self.open(replica.url)), told)
        replica.ask("REPLICAOF", "NO", "ONE")
        await self.until(lambda: not redis.away)

    async def test_busy(self) -> None:
        """A script of somebody else that does not end is named."""
        server = self.server("--busy-reply-threshold", "20")
        redis = await self.open(server.url)
        log = self.log()
        server.send("EVAL", "while true do end", "0")
        await self.until(lambda: server.busy)
        busy = (
            f"Redis at {server.url} is busy with a script that somebody runs: redis-cli SCRIPT "
            f"KILL ends it"
        )
        self.assertEqual(await self.refusal(redis.execute("SET", "a", "b")), busy)
        self.assertEqual(sentences(log), [busy])
        server.ask("SCRIPT", "KILL")
        await self.until(lambda: not redis.away)

    async def test_something_else(self) -> None:
        """What is no Redis is found out."""
        for answers in (b"HTTP/1.1 400 Bad Request\r\n", b"*1\r\n$4\r\nINFO\r\n"):
            url = self.stranger(answers)
            self.assertIn("does not answer like Redis", await self.refusal(self.open(url)))

    def stranger(self, answers: bytes) -> str:
        """Somebody who says this to everybody."""

        class Stranger(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.write(answers)

        factory = cast(ServerFactory, ServerFactory.forProtocol(Stranger))
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return f"redis://127.0.0.1:{cast(IPv4Address, port.getHost()).port}"

    async def test_command_is_not_repeated(self) -> None:
        """What somebody has written is not in the error about it."""
        redis = await self.open(shared_redis().url)
        told = await self.refusal(redis.execute("NOSUCH", "secret words", "of somebody"))
        self.assertEqual(
            told, f"Redis at {shared_redis().url} answered: ERR unknown command 'NOSUCH'"
        )


class TLSTests(RedisCase):
    """The certificate of Redis is looked at."""

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.authority = SigningAuthority(directory)
        self.file = str(self.authority.file)

    async def test_believed(self) -> None:
        """One that is signed by who the configuration names, for the name in the URL, is."""
        server = self.server(authority=self.authority)
        redis = await self.open(server.url, authorities=self.file)
        self.assertEqual(await redis.execute("PING"), b"PONG")

    async def test_not_believed(self) -> None:
        """One that this machine does not trust is not."""
        server = self.server(authority=self.authority)
        self.assertEqual(
            await self.refusal(self.open(server.url)),
            f"TLS with Redis at {server.url} fails (certificate verify failed): name the "
            f"authority that signed its certificate in cluster.authorities",
        )

    async def test_other_name(self) -> None:
        """One for other names is not."""
        server = self.server(authority=self.authority)
        server.kill()
        server.certify(self.authority, "other.example.org")
        server.start()
        self.assertEqual(
            await self.refusal(self.open(server.url, authorities=self.file)),
            f"the certificate of Redis at {server.url} is for other names: use one of them in "
            "cluster.redis",
        )

    async def test_expired(self) -> None:
        """One that has expired is not."""
        server = self.server(authority=self.authority)
        server.kill()
        server.certify(self.authority, days=-1)
        server.start()
        told = await self.refusal(self.open(server.url, authorities=self.file))
        self.assertTrue(told.startswith(f"TLS with Redis at {server.url} fails ("), told)

    async def test_no_tls(self) -> None:
        """A Redis that speaks no TLS at this port is told apart."""
        server = self.server(tcp=True)
        url = server.url.replace("redis://127.0.0.1", "rediss://localhost")
        told = await self.refusal(self.open(url, authorities=self.file))
        self.assertEqual(
            told,
            f"Redis at {url} has not started TLS for 1 s: does it use TLS on this port?",
        )

    def test_no_authorities(self) -> None:
        """A file without certificates stops the start."""
        empty = Path(self.mktemp())
        empty.write_text("nothing")
        for file in (str(empty), str(empty) + "-missing"):
            with self.assertRaisesRegex(Exception, "cluster.authorities"):
                self.door("redis://localhost", authorities=file)
