"""What somebody sees who traces."""

from msgspec import to_builtins
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.test_carbons import carbons_of
from tests.support import SlowStore
from xmppd.ctl.protocol import Shown
from xmppd.plugin.seams import SEAMS, Replace
from xmppd.router.message_router import MessageRouter
from xmppd.router.packet_router import PacketRouter
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import JID, Condition, Message, StanzaError
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.trace.passage import MAX_STEPS
from xmppd.trace.trace import MAX_TRACERS, TooManyTracers, Trace
from xmppd.trace.tracer import MAX_QUEUED_STEPS, Tracer

HELLO = "<message to='juliet@montague.lit' type='chat'><body>hello</body></message>"


class TraceCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = SlowStore()
        self.house = House(
            "montague.lit",
            store=self.store,
            romeo={"juliet": "both", "tybalt": "to", "mercutio": "from"},
            juliet={"romeo": "both"},
            tybalt={},
            mercutio={},
        )
        self.romeo, self.juliet = self.house.connect("romeo/orchard", "juliet/balcony")
        self.trace = Trace(self.house.server, self.house.plugins.seams)
        self.tracer = Tracer(JID.parse("romeo@montague.lit"))

    def rows(self, tracer: Tracer | None = None) -> list[dict[str, Shown]]:
        """All that waits to be shown."""
        tracer = tracer or self.tracer
        tracer.stop()
        found = []
        while (passage := done(tracer.next())) is not None:
            found += [to_builtins(row) for row in tracer.rows(passage)]
        return found

    def steps(self, tracer: Tracer | None = None) -> list[tuple[object, object]]:
        """Stage and code of each row."""
        return [(row.get("stage"), row["code"]) for row in self.rows(tracer)]


class WalkTests(TraceCase):
    def test_message(self) -> None:
        """A message is followed to the session that gets it, and past those that do not."""
        self.house.bind("juliet", "tomb")
        with self.trace.joined(self.tracer):
            self.romeo.send(HELLO)
        rows = self.rows()
        self.assertEqual(
            [(row["stage"], row["code"], row["to"]) for row in rows],
            [
                (None, "stanza", "juliet@montague.lit"),
                ("PacketRouter", "done", "juliet@montague.lit"),
                ("Followers", "followed", "juliet@montague.lit"),
                ("MessageRouter", "done", "juliet@montague.lit"),
                ("LocalClientSession", "delivered", "juliet@montague.lit/balcony"),
                ("Followers", "followed", "juliet@montague.lit"),
                ("skipped", "skipped", "juliet@montague.lit/tomb"),
            ],
        )
        self.assertTrue(all(isinstance(rows[number]["took_us"], int) for number in (1, 3, 4)))

    def test_worth(self) -> None:
        """At both ends is said what a message is worth, and under which id it is archived."""
        done(self.house.plugins.load("archive"))
        self.juliet.raw()
        with self.trace.joined(self.tracer):
            self.romeo.send(HELLO)
        received = self.juliet.raw().decode()
        sent, got = [str(row["says"]) for row in self.rows() if row["code"] == "followed"]
        self.assertIn("at romeo@montague.lit, a text: archived, copied, pushed", sent)
        id = got.partition("archived as ")[2].partition(",")[0]
        self.assertIn(f"at juliet@montague.lit, a text: archived as {id}, copied, pushed", got)
        self.assertIn(f"id='{id}'", received)
        self.assertEqual(len(id), 32)

    def test_untraced(self) -> None:
        """When nobody traces, nobody follows."""
        with self.trace.joined(self.tracer):
            self.assertIsNotNone(self.house.server.followers.of_all)
        self.assertIsNone(self.house.server.followers.of_all)

    def test_copy(self) -> None:
        """Who traces the recipient sees who gets a copy, and not as one who got nothing."""
        tracer = Tracer(JID.parse("juliet@montague.lit"))
        tomb = self.house.bind("juliet", "tomb")
        done(self.house.plugins.load("carbons"))
        carbons_of(self.house).enable(tomb.session)
        with self.trace.joined(tracer):
            self.romeo.send(HELLO)
        rows = [(row["code"], row["to"]) for row in self.rows(tracer)]
        self.assertIn(("copied", "juliet@montague.lit/tomb"), rows)
        self.assertNotIn("skipped", [code for code, _ in rows])

    def test_broadcast(self) -> None:
        """A presence is followed to each contact; who does not get it is named with the reason."""
        with self.trace.joined(self.tracer):
            self.romeo.send("<presence/>")
        rows = self.rows()
        (roster,) = [row for row in rows if row["stage"] == "Roster"]
        self.assertIn("2 copies", str(roster["says"]))
        reasons = [str(row["says"]).strip() for row in rows if row["code"] == "skipped"]
        self.assertEqual(
            reasons,
            [
                "skipped: mercutio@montague.lit is not available",
                "skipped: tybalt@montague.lit may not see this presence: subscription to",
            ],
        )

    def test_waiting(self) -> None:
        """A stanza that waits for the store is shown when it is done, with all that followed."""
        self.store.slow = True
        with self.trace.joined(self.tracer):
            self.romeo.send(HELLO.replace("juliet", "mercutio"))
            self.juliet.send(HELLO.replace("juliet", "romeo"))
            self.store.release_all()
            self.romeo.send("<presence to='juliet@montague.lit'/>")
        rows = self.rows()
        ways: dict[object, list[object]] = {}
        for row in rows:
            ways.setdefault(row["stanza"], []).append(row["code"])
        self.assertEqual(
            list(ways.values()),
            [
                ["stanza", "done", "followed", "done", "delivered", "followed"],
                ["stanza", "done", "followed", "done", "stored", "followed"],
                ["stanza", "done", "done", "done", "delivered"],
            ],
        )

    def test_bounced(self) -> None:
        """What is refused says why, and the answer belongs to it."""
        with self.trace.joined(self.tracer):
            self.romeo.send(HELLO.replace("juliet", "nobody"))
        self.assertEqual(
            self.steps()[2:],
            [
                ("Followers", "followed"),
                ("MessageRouter", "refused"),
                ("OfflineMessageStrategy", "refused"),
                ("RoutingTable", "arrived"),
                ("LocalClientSession", "delivered"),
                ("Followers", "followed"),
            ],
        )

    def test_dropped(self) -> None:
        """A headline for nobody is dropped, and a closed stanza's way ends there."""
        with self.trace.joined(self.tracer):
            self.romeo.send(HELLO.replace("juliet", "mercutio").replace("chat", "headline"))
        self.assertIn(("OfflineMessageStrategy", "dropped"), self.steps())

    def test_plugins(self) -> None:
        """What a plugin changes, drops or refuses is said, with the plugin's name."""
        for plugin, code in (
            (Changing(), ("InterceptorManager", "changed")),
            (Dropping(), ("InterceptorManager", "dropped")),
            (Refusing(), ("InterceptorManager", "refused")),
            (Hiding(), ("LocalClientSession", "dropped")),
            (Signing(), ("LocalClientSession", "changed")),
        ):
            with self.subTest(plugin=plugin):
                tracer = Tracer(JID.parse("romeo@montague.lit"))
                leave = self.house.server.interceptors.put(plugin, "censor")
                with self.trace.joined(tracer):
                    self.romeo.send(HELLO)
                rows = self.rows(tracer)
                leave()
                self.assertIn(code, [(row["stage"], row["code"]) for row in rows])
                if code[1] == "dropped":
                    self.assertIn("dropped by censor", str([row["says"] for row in rows]))


class Changing(PacketInterceptor):
    incoming_kinds = (Message,)

    def incoming(self, stanza, session):  # type: ignore[no-untyped-def]
        return stanza.addressed(stanza.to)


class Dropping(PacketInterceptor):
    incoming_kinds = (Message,)

    def incoming(self, stanza, session):  # type: ignore[no-untyped-def]
        return None


class Refusing(PacketInterceptor):
    incoming_kinds = (Message,)

    def incoming(self, stanza, session):  # type: ignore[no-untyped-def]
        raise StanzaError(Condition.NOT_ALLOWED, "not in this house")


class Hiding(PacketInterceptor):
    outgoing_kinds = (Message,)

    def outgoing(self, stanza, session):  # type: ignore[no-untyped-def]
        return None


class Signing(PacketInterceptor):
    outgoing_kinds = (Message,)

    def outgoing(self, stanza, session):  # type: ignore[no-untyped-def]
        return stanza.addressed(stanza.to)


class AddressTests(TraceCase):
    def test_addresses(self) -> None:
        """A session, an account or a domain is traced, and nothing else."""
        for address, count in (
            ("romeo@montague.lit", 1),
            ("romeo@montague.lit/orchard", 1),
            ("romeo@montague.lit/other", 0),
            ("juliet@montague.lit", 1),
            ("juliet@montague.lit/balcony", 1),
            ("montague.lit", 1),
            ("tybalt@montague.lit", 0),
        ):
            with self.subTest(address):
                tracer = Tracer(JID.parse(address))
                with self.trace.joined(tracer):
                    self.romeo.send(HELLO)
                codes = [code for _, code in self.steps(tracer)]
                self.assertEqual(codes.count("stanza"), count)

    def test_watcher(self) -> None:
        """Who should see a broadcast and does not is told why, and nothing about others."""
        tracer = Tracer(JID.parse("tybalt@montague.lit"))
        with self.trace.joined(tracer):
            self.romeo.send("<presence/>")
        says = " ".join(str(row["says"]) for row in self.rows(tracer))
        self.assertIn("may not see this presence: subscription to", says)
        self.assertNotIn("juliet", says)


class ScrubTests(TraceCase):
    def says(self, stanza: str, *, bodies: bool = False) -> str:
        tracer = Tracer(JID.parse("romeo@montague.lit"), bodies=bodies)
        with self.trace.joined(tracer):
            self.romeo.send(stanza)
        return str(self.rows(tracer)[0]["says"])

    def test_bodies(self) -> None:
        """What people write is shown only if it is asked for."""
        self.assertIn("<body>(5 characters)</body>", self.says(HELLO))
        self.assertIn("<body>hello</body>", self.says(HELLO, bodies=True))

    def test_attributes(self) -> None:
        """So it is with attributes, where people write too."""
        item = "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='a@b' name='My{}'/>"
        stanza = f"{item}</query></iq>"
        self.assertNotIn("My", self.says(stanza))
        self.assertIn("My", self.says(stanza, bodies=True))

    def test_passwords(self) -> None:
        """A password is never shown."""
        for secret in (
            "<query xmlns='jabber:iq:register'><password>rose</password></query>",
            "<x xmlns='jabber:x:data'><field var='password'><value>rose</value></field></x>",
            (
                "<command xmlns='http://jabber.org/protocol/commands'><x xmlns='jabber:x:data'>"
                "<field var='key'><value>rose</value></field></x></command>"
            ),
        ):
            stanza = f"<iq type='set' id='1' to='montague.lit'>{secret}</iq>"
            self.assertNotIn("rose", self.says(stanza, bodies=True))

    def test_length(self) -> None:
        """Of a long stanza the beginning is shown."""
        long = HELLO.replace("hello", "hello" * 1_000)
        self.assertLess(len(self.says(long, bodies=True)), 2_200)


class LifeTests(TraceCase):
    def test_nothing_is_left(self) -> None:
        """When the last one leaves, each stage is exactly as it was, but for what it counts."""
        server = self.house.server

        def stages() -> list[tuple[type, dict[str, object]]]:
            found = [server.stages[kind] for kind in SEAMS]
            return [(type(stage), {**stage.__dict__, "stanzas": None}) for stage in found]

        before = stages()
        with self.trace.joined(self.tracer):
            self.assertIsNot(type(server.packet_router), PacketRouter)
            with self.trace.joined(Tracer(JID.parse("montague.lit"))):
                self.romeo.send(HELLO)
            self.assertIsNot(type(server.packet_router), PacketRouter)
        self.assertEqual(stages(), before)
        self.assertFalse(any(server.interceptors.outgoing.values()))

    def test_left_meanwhile(self) -> None:
        """Who leaves while a stanza waits takes nothing with them, and hinders nothing."""
        self.store.slow = True
        with self.trace.joined(self.tracer):
            self.romeo.send(HELLO.replace("juliet", "mercutio"))
        self.store.release_all()
        self.store.slow = False
        self.assertEqual(self.rows(), [])
        self.assertEqual(len(done(self.store.offline.offline_messages("mercutio@montague.lit"))), 1)

    def test_replaced_meanwhile(self) -> None:
        """A plugin may take a stage's place while somebody traces it."""

        class Loud(MessageRouter):
            def route(self, message: Message):  # type: ignore[no-untyped-def]
                heard.append(message)
                return super().route(message)

        heard: list[Message] = []
        with self.trace.joined(self.tracer):
            give_back = self.house.plugins.seams.put(Replace(MessageRouter, Loud), "loud")
            self.romeo.send(HELLO)
            give_back()
        self.assertEqual(len(heard), 1)
        self.assertIn(("MessageRouter", "done"), self.steps())

    def test_too_many(self) -> None:
        """So many may trace, and no more."""
        tracers = [Tracer(JID.parse("montague.lit")) for _ in range(MAX_TRACERS)]
        joined = [self.trace.joined(tracer) for tracer in tracers]
        for one in joined:
            one.__enter__()
        self.assertRaises(TooManyTracers, self.trace.joined(self.tracer).__enter__)
        for one in joined:
            one.__exit__(None, None, None)
        self.assertEqual(self.trace.tracers, [])

    def test_slow_reader(self) -> None:
        """What nobody reads is dropped and counted, and the first of it is kept."""
        with self.trace.joined(self.tracer):
            for _ in range(MAX_QUEUED_STEPS):
                self.romeo.send(HELLO)
        shown = [row for row in self.rows() if row["code"] == "stanza"]
        self.assertEqual(len(shown) + self.tracer.dropped, MAX_QUEUED_STEPS)
        self.assertEqual(shown[0]["stanza"], 1)
        self.assertGreater(self.tracer.dropped, 0)

    def test_many_steps(self) -> None:
        """Of a stanza with very many steps the first are shown, and the others counted."""
        groups = {f"c{number}": "from" for number in range(MAX_STEPS + 10)}
        self.house.add("star", groups)
        (star,) = self.house.connect("star")
        tracer = Tracer(JID.parse("star@montague.lit"))
        with self.trace.joined(tracer):
            star.send("<presence/>")
        rows = self.rows(tracer)
        self.assertEqual(rows[-1]["code"], "omitted")
        self.assertEqual(len(rows), MAX_STEPS + 2)
