"""Who has sent how much, in the last minutes."""

from base64 import b64encode

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from xmppd.net.traffic_history import MAX_GONE, MAX_RANKED, MINUTES, OTHERS, PARTS, RANKS
from xmppd.session.peer_counts import Growth
from xmppd.testing.client import Elsewhere
from xmppd.testing.house import House, house_config
from xmppd.testing.network import federate
from xmppd.web.http_connections import SWEEP_S

ALL_LOOKED_AT_S = (PARTS + 1) * SWEEP_S
MUC, ROOM = "http://jabber.org/protocol/muc", "orchard@conference.verona.lit"
PUBSUB = "to='pubsub.verona.lit'><pubsub xmlns='http://jabber.org/protocol/pubsub'>"
END = "</pubsub></iq>"
HELLO = "<message to='juliet@verona.lit' type='chat'><body>Hello</body></message>"


class HistoryCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House("verona.lit", romeo={}, juliet={})
        self.office = Office(self.house)

    def wait(self, seconds: float = ALL_LOOKED_AT_S) -> None:
        """Let some time pass, in which the counts are looked at."""
        for _ in range(round(seconds)):
            self.house.clock.advance(1.0)

    def top(self, **given: object) -> dict[str, dict[str, object]]:
        rows = self.office.rows("top senders", **given)
        return {str(row["who"]): row for row in rows}


class TopTests(HistoryCase):
    def test_by_kind(self) -> None:
        """What a session sends is told by kind, with what it got."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        self.wait(70)
        for _ in range(7):
            romeo.send(HELLO)
        juliet.send("<presence/>")
        romeo.send("<iq type='get' id='1'><query xmlns='odd'/></iq>")
        self.wait()
        found = self.top()
        self.assertEqual(list(found), ["romeo@verona.lit/1", "juliet@verona.lit/1"])
        sent = found["romeo@verona.lit/1"]
        self.assertEqual((sent["messages"], sent["presences"], sent["iqs"]), (7, 0, 1))
        self.assertEqual((sent["stanzas"], sent["errors"], sent["got"]), (8, 1, 1))
        self.assertEqual(sent["percent"], 88.9)
        self.assertEqual(found["juliet@verona.lit/1"]["got"], 8)  # her own presence comes back

    def test_gone(self) -> None:
        """Who has left since is told all the same, under the name of before."""
        (romeo,) = self.house.connect("romeo")
        romeo.send(HELLO)
        romeo.send("</stream:stream>")
        romeo.handler.connectionLost()
        self.wait()
        self.assertEqual(self.top()["romeo@verona.lit/1"]["messages"], 1)

    def test_minutes(self) -> None:
        """After a minute it is not in the last one, and still in the last ten; then no more."""
        (romeo,) = self.house.connect("romeo")
        romeo.send(HELLO)
        self.wait(70)
        self.assertNotIn("romeo@verona.lit/1", self.top())
        self.assertEqual(self.top(minutes="10")["romeo@verona.lit/1"]["messages"], 1)
        self.wait(60 * MINUTES)
        self.assertEqual([row["messages"] for row in self.top(minutes="10").values()], [0])  # pings

    def test_by(self) -> None:
        """Two sessions of an account are one account, one address, one domain."""
        for client in self.house.connect("romeo/orchard", "romeo/tomb"):
            client.send(HELLO)
        self.wait()
        for part, who in (
            ("account", "romeo@verona.lit"),
            ("address", "192.0.2.1"),
            ("domain", "verona.lit"),
        ):
            self.assertEqual(self.top(by=part)[who]["messages"], 2, part)
        self.assertEqual(len(self.top(by="session")), 2)

    def test_rows(self) -> None:
        """Those beyond the rows that are wanted are one, and the sum is that of all."""
        for client in self.house.connect("romeo", "juliet"):
            client.send(HELLO)
        self.wait()
        found = self.top(rows="1")
        self.assertEqual(list(found)[1:], ["(others)"])
        self.assertEqual(sum(int(str(row["messages"])) for row in found.values()), 2)

    def test_slowed(self) -> None:
        """Who sends more than may be is told with how often it was slowed down, and named by
        status: so a flood is found in two commands.
        """
        limits = {"stanzas_per_s": 50.0, "stanzas_burst": 100}
        self.house = House(
            "verona.lit", config=house_config("verona.lit", stream=limits), romeo={}, juliet={}
        )
        self.office = Office(self.house)
        (romeo,) = self.house.connect("romeo")
        romeo.send(HELLO * 2_000)
        self.house.clock.pump([0.02] * 1_500)
        *sentences, row = self.office.replies("status")
        assert isinstance(row, dict)
        self.assertEqual(row["wrong"], ["one-sends-a-third"])
        self.assertRegex(str(sentences[0]), r"^romeo@verona.lit/1 sent 1\d\d\d of 1\d\d\d stanz")
        self.assertIn("was slowed down", str(sentences[0]))
        (most,) = self.office.rows("top senders", of="slowed", rows="1")
        self.assertEqual(most["who"], "romeo@verona.lit/1")
        self.assertGreater(int(str(most["slowed"])), 100)
        (listed,) = self.office.rows("session list")
        self.assertGreater(int(str(listed["slowed"])), 100)
        (shown,) = self.office.rows("session show", jid="romeo@verona.lit/1")
        self.assertGreater(int(str(shown["messages"])), 1_000)

    def test_what_waits(self) -> None:
        """What came in one go and is read slowly is counted as it is read."""
        limits = {"stanzas_per_s": 10.0, "stanzas_burst": 10}
        self.house = House("verona.lit", config=house_config("verona.lit", stream=limits), romeo={})
        self.office = Office(self.house)
        (romeo,) = self.house.connect("romeo")
        romeo.send(HELLO * 200)
        for _ in range(4):
            self.house.clock.pump([0.1] * 100)
        self.assertEqual(self.top()["romeo@verona.lit/1"]["messages"], 200)

    def test_failed_logins(self) -> None:
        """Attempts to log in that fail are told by address, and who tries has no account."""
        client = self.house.unauthenticated("203.0.113.7", encrypted=True)
        client.open("verona.lit")
        client.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='NONE'/>")
        self.wait()
        row = self.top(by="address", of="failed-logins")["203.0.113.7"]
        self.assertEqual((row["failed_logins"], row["percent"]), (1, 100.0))

    def test_failed_logins_of_accounts(self) -> None:
        """They are told by the account that was tried, one stream for several; also after it has
        left, and by the whole domain.
        """
        client = self.house.unauthenticated("203.0.113.7", encrypted=True)
        client.open("verona.lit")
        for name in ("romeo", "romeo", "paris"):
            tried = b64encode(f"\0{name}\0thorn".encode()).decode()
            client.send(
                f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{tried}</auth>"
            )
            self.wait()  # guesses take a while each
        client.abort()
        self.wait()
        found = self.top(by="account", of="failed-logins")
        self.assertEqual(found["romeo@verona.lit"]["failed_logins"], 2)
        self.assertEqual(found["paris@verona.lit"]["failed_logins"], 1)
        self.assertEqual(self.top(by="domain")["verona.lit"]["failed_logins"], 3)

    def test_deliveries(self) -> None:
        """What somebody sends is told by what it becomes: one stanza for each who gets it."""
        self.house = House("verona.lit", romeo={"juliet": "both"}, juliet={})
        self.office = Office(self.house)
        romeo, _, _ = self.house.connect("romeo", "juliet/1", "juliet/2")
        self.wait(70)
        romeo.send("<presence><show>away</show></presence>")
        self.wait()
        sent = self.top(of="deliveries")["romeo@verona.lit/1"]
        self.assertEqual((sent["stanzas"], sent["deliveries"]), (1, 3))  # and himself
        romeo.send("<message to='juliet@verona.lit' type='chat'><body>hi</body></message>")
        self.wait()
        sent = self.top(of="deliveries")["romeo@verona.lit/1"]
        self.assertEqual((sent["stanzas"], sent["deliveries"]), (2, 3 + 2))

    def test_other_servers(self) -> None:
        """Another server and a component are told by their domain."""
        component = {"name": "echo.verona.lit", "secret": "echo"}
        self.house = House(
            "verona.lit", config=house_config("verona.lit", component=[component]), romeo={}
        )
        self.office, mantua = Office(self.house), House("mantua.lit", juliet={})
        federate(self.house, mantua)
        (juliet,) = mantua.connect("juliet")
        juliet.send("<message to='romeo@verona.lit'><body>hi</body></message>")
        mantua.network.settle()
        service = self.house.service("echo.verona.lit", "echo")
        service.send(
            "<message from='echo.verona.lit' to='romeo@verona.lit'><body>hi</body></message>"
        )
        self.wait()
        found = self.top(by="domain")
        self.assertEqual(found["mantua.lit"]["messages"], 1)
        self.assertEqual(found["echo.verona.lit"]["messages"], 1)

    def test_deliveries_elsewhere(self) -> None:
        """What somebody of another server says in a room is counted for them, and their domain."""
        self.house = House("verona.lit", plugins=("disco", "muc"), romeo={}, mercutio={}, nurse={})
        self.office, elsewhere = Office(self.house), Elsewhere(self.house)
        clients = self.house.connect("romeo", "mercutio", "nurse")
        for number, client in enumerate(clients):
            client.send(f"<presence to='{ROOM}/n{number}'><x xmlns='{MUC}'/></presence>")
            client.send(
                f"<iq type='set' id='1' to='{ROOM}'><query xmlns='{MUC}#owner'>"
                "<x xmlns='jabber:x:data' type='submit'/></query></iq>"
            )
        tybalt = f"from='tybalt@capulet.lit/1' to='{ROOM}"
        elsewhere.send(f"<presence {tybalt}/t'><x xmlns='{MUC}'/></presence>")
        self.wait(90)
        self.assertNotIn("tybalt@capulet.lit", self.top(by="account", of="deliveries"))
        elsewhere.send(f"<message {tybalt}' type='groupchat'><body>Peace?</body></message>")
        self.wait()
        heard = len(clients) + 1
        for part, who in (("account", "tybalt@capulet.lit"), ("domain", "capulet.lit")):
            row = self.top(by=part, of="deliveries")[who]
            self.assertEqual(row["deliveries"], heard - 1, part)  # one each is the stream's

    def test_deliveries_published(self) -> None:
        """What a person of another server publishes, or a component, is counted for them."""
        component = {"name": "echo.verona.lit", "secret": "echo"}
        config = house_config("verona.lit", component=[component], pubsub={"create": "all"})
        self.house = House("verona.lit", config=config, plugins=("pubsub",), romeo={}, nurse={})
        self.office, elsewhere = Office(self.house), Elsewhere(self.house)
        service = self.house.service("echo.verona.lit", "echo")
        clients = self.house.connect("romeo", "nurse")
        for send, who in (
            (elsewhere.send, "tybalt@capulet.lit"),
            (service.send, "news@echo.verona.lit"),
        ):
            asks = f"<iq type='set' id='1' from='{who}/1' {PUBSUB}"
            send(f"{asks}<create node='{who}'/>{END}")
            for name, client in zip(("romeo", "nurse"), clients, strict=True):
                follow = f"<subscribe node='{who}' jid='{name}@verona.lit'/>"
                client.send(f"<iq type='set' id='1' {PUBSUB}{follow}{END}")
            self.wait(90)
            send(f"{asks}<publish node='{who}'><item><e xmlns='urn:e'/></item></publish>{END}")
            self.wait()
            row = self.top(by="account", of="deliveries")[who]
            self.assertEqual(row["deliveries"], len(clients), who)


class BoundTests(HistoryCase):
    def setUp(self) -> None:
        super().setUp()
        self.history = self.house.server.traffic_history
        (self.romeo,) = self.house.connect("romeo")
        self.history.gone(self.romeo.handler)
        self.history.look(0.0)

    def leave(self, count: int, messages: int = 1) -> None:
        """So many sessions have sent something, and have left."""
        for number in range(count):
            counts = self.romeo.handler.counts
            counts.came[0] += messages
            counts.came_bytes += 100
            session = self.romeo.stanza_handler.session
            session.jid = self.house.jid("romeo").with_resource(f"r{number}")
            self.history.gone(self.romeo.handler)

    def test_pruned(self) -> None:
        """Of a look, those that have caused most of anything are kept, and all others are one: no
        number is lost.
        """
        self.leave(2 * MAX_RANKED * len(RANKS))
        self.leave(1, messages=20)
        self.history.look(2.0)
        found = self.history.lately(1)
        self.assertLessEqual(len(found), MAX_RANKED * len(RANKS) + 2)
        self.assertIn(OTHERS, found)
        total = sum(grown.messages for grown in found.values())
        self.assertEqual(total, 2 * MAX_RANKED * len(RANKS) + 20)
        self.assertEqual(
            [grown.messages for peer, grown in found.items() if peer.session.endswith("/r0")], [21]
        )

    def test_many_gone(self) -> None:
        """Of connections that are lost between two looks, only so many are told apart."""
        self.leave(MAX_GONE + 10)
        self.assertEqual(len(self.history._gone), MAX_GONE + 1)
        self.assertEqual(self.history._gone[OTHERS], Growth(messages=10, came_bytes=1_000))
