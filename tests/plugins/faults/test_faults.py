"""The plugin `faults`: each fault, and what a client notices of it."""

from base64 import b64encode
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from tests.unit.login.logins import LAPTOP
from tests.unit.login.test_fast import TokenCase, by_token
from xmppd.net.transport import Returning
from xmppd.plugin.plugin_error import PluginError
from xmppd.stanza import ns
from xmppd.testing.client import Client, done
from xmppd.testing.house import PASSWORD, House, house_config

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
SOON_S = 0.05
SM = f"<enable xmlns='{ns.STREAM_MANAGEMENT}' resume='true'/>"


def message(to: str, text: str) -> str:
    """A message, as a client sends it."""
    return f"<message type='chat' to='{to}'><body>{text}</body></message>"


class FaultCase(SynchronousTestCase):
    """A house in which things go wrong on request."""

    def setUp(self) -> None:
        self.house = House(
            config=house_config("montague.lit", component=[{"name": "echo.lit", "secret": "x"}]),
            plugins=("ping", "faults"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )
        self.office = Office(self.house)
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def fault(self, name: str, **given: object) -> dict[str, Any]:
        """Ask for a fault."""
        (row,) = self.office.rows(f"fault {name}", **given)
        return row

    def faults(self) -> list[str]:
        """The faults that are there."""
        return [str(row["fault"]) for row in self.office.rows("fault list")]

    def soon(self) -> None:
        """Let a moment pass."""
        self.house.clock.pump([SOON_S / 10] * 10)

    def heard(self, client: Client) -> str:
        """What somebody has got."""
        self.soon()
        return client.raw().decode()


class WireFaultTests(FaultCase):
    def test_cut_at_once(self) -> None:
        """A connection breaks, and nobody is told why; others stay."""
        self.fault("cut", address=ROMEO)
        self.soon()
        self.assertTrue(self.romeo.closed)
        self.assertNotIn("</stream:stream>", self.heard(self.romeo))
        self.assertFalse(self.juliet.closed)
        self.assertEqual(
            self.office.refusal("fault cut", address=ROMEO), f"{ROMEO} has no connection"
        )

    def test_cut_at_an_element(self) -> None:
        """It breaks before, inside or behind what a client gets, as often as that was asked."""
        for at, found in (("before", ("", "")), ("inside", ("<mess", "</message>")),
                          ("behind", ("</message>", "|"))):  # fmt: skip
            with self.subTest(at=at):
                (romeo,) = self.house.connect("romeo")
                self.fault("cut", address=ROMEO, at=at, element="message", containing="moon")
                self.juliet.send(message(ROMEO, "hark"))
                self.assertIn("hark", self.heard(romeo))
                self.juliet.send(message(f"{ROMEO}/1", "by the moon"))
                heard = self.heard(romeo)
                self.assertTrue(romeo.closed)
                self.assertIn(found[0], heard)
                self.assertNotIn(found[1] or "<message", heard)
                self.assertEqual(self.faults(), [])
                self.juliet.raw()

    def test_cut_before_the_acknowledgement(self) -> None:
        """A message arrives, and its sender's client never hears of that."""
        self.romeo.send(SM)
        self.romeo.raw()
        self.fault("cut", address=ROMEO, at="before", element="a")
        self.romeo.send(message(JULIET, "o") + f"<r xmlns='{ns.STREAM_MANAGEMENT}'/>")
        self.assertEqual(self.heard(self.romeo), "")
        self.assertTrue(self.romeo.closed)
        self.assertIn("<body>o</body>", self.heard(self.juliet))
        self.assertTrue(self.romeo.session.detached)

    def test_cut_at_what_is_sent(self) -> None:
        """What a client sends is lost with its connection, or is the last thing that is handled."""
        for at, arrives in (("before", False), ("behind", True)):
            with self.subTest(at=at):
                (romeo,) = self.house.connect("romeo")
                self.juliet.raw()
                self.fault("cut", address=ROMEO, at=at, direction="sent", element="message")
                romeo.send(message(JULIET, "first") + message(JULIET, "second"))
                heard = self.heard(self.juliet)
                self.assertEqual("first" in heard, arrives)
                self.assertNotIn("second", heard)
                self.assertTrue(romeo.closed)
        self.assertIn(
            "say before",
            self.office.refusal("fault cut", address=ROMEO, at="inside", direction="sent"),
        )

    def test_freeze(self) -> None:
        """Nothing comes through, either way, and then all of it in its order."""
        self.fault("freeze", address=ROMEO)
        self.assertEqual(self.faults(), ["freeze"])
        self.juliet.raw()
        self.juliet.send(message(ROMEO, "one") + message(ROMEO, "two"))
        self.romeo.send(message(JULIET, "three"))
        self.assertEqual((self.heard(self.romeo), self.heard(self.juliet)), ("", ""))
        self.assertEqual(
            self.office.says("fault clear", address=ROMEO),
            "faults cleared: 0; connections resumed: 1",
        )
        heard = self.heard(self.romeo)
        self.assertLess(0, heard.index("one"))
        self.assertLess(heard.index("one"), heard.index("two"))
        self.assertIn("three", self.heard(self.juliet))

    def test_freeze_at_an_element(self) -> None:
        """It stands still before, inside or behind an element, of either direction."""
        for at, there in (("before", ""), ("inside", "<message"), ("behind", "</message>")):
            with self.subTest(at=at, direction="got"):
                self.romeo.raw()
                self.fault("freeze", address=ROMEO, at=at, direction="got", element="message")
                self.juliet.send(message(ROMEO, "one") + message(ROMEO, "two"))
                before = self.heard(self.romeo)
                self.assertTrue(there in before and "two" not in before, before)
                self.assertEqual("</message>" in before, at == "behind")
                self.office.says("fault clear")
                self.assertEqual((before + self.heard(self.romeo)).count("</message>"), 2)
        for at in ("before", "behind"):
            with self.subTest(at=at, direction="sent"):
                self.juliet.raw()
                self.fault("freeze", address=ROMEO, at=at, direction="sent", element="message")
                self.romeo.send(message(JULIET, "one") + message(JULIET, "two"))
                before = self.heard(self.juliet)
                self.assertEqual(("one" in before, "two" in before), (at == "behind", False))
                self.office.says("fault clear")
                self.assertEqual((before + self.heard(self.juliet)).count("</message>"), 2)

    def test_other_connections_do_not_freeze(self) -> None:
        """A client that comes back by another connection is served."""
        self.fault("freeze", address=ROMEO)
        (again,) = self.house.connect("romeo/again")
        self.juliet.send(message(f"{ROMEO}/again", "hark"))
        self.assertIn("hark", self.heard(again))

    def test_too_much_waits(self) -> None:
        """A frozen connection for which too much waits is cut."""
        self.fault("freeze", address=ROMEO)
        (wire,) = self.wires_of("romeo")
        wire.max_held_bytes = 1_000
        self.juliet.send(message(ROMEO, "x" * 500))
        self.soon()
        self.assertFalse(self.romeo.closed)
        self.juliet.send(message(ROMEO, "x" * 500))
        self.soon()
        self.assertTrue(self.romeo.closed)

    def wires_of(self, name: str) -> list[Any]:
        """The plugin's own view of connections."""
        handlers: set[Any] = {*self.house.server.client_connections.handlers}
        return [
            each.transport._wire for each in handlers if each.peer.account.startswith(f"{name}@")
        ]

    def test_drop(self) -> None:
        """What a client got or sent is lost on the way, as many as were asked for."""
        self.fault("drop", address=ROMEO, element="message", times="2", direction="got")
        self.juliet.send("".join(message(ROMEO, text) for text in ("one", "two", "three")))
        heard = self.heard(self.romeo)
        self.assertEqual([text in heard for text in ("one", "two", "three")], [False, False, True])
        self.fault("drop", address=ROMEO, direction="sent", containing="psst")
        self.juliet.raw()
        self.romeo.send(message(JULIET, "psst") + message(JULIET, "loud"))
        heard = self.heard(self.juliet)
        self.assertEqual(("psst" in heard, "loud" in heard), (False, True))

    def test_delay(self) -> None:
        """All is late, in both directions and in its order, until that is taken back."""
        self.fault("delay", address=ROMEO, milliseconds="2000")
        self.juliet.raw()
        self.juliet.send(message(ROMEO, "one") + message(ROMEO, "two"))
        self.romeo.send(message(JULIET, "three"))
        self.house.clock.pump([0.1] * 19)
        self.assertEqual((self.romeo.raw(), self.juliet.raw()), (b"", b""))
        self.house.clock.pump([0.1] * 4)
        heard = self.romeo.raw().decode()
        self.assertLess(heard.index("one"), heard.index("two"))
        self.assertIn(b"three", self.juliet.raw())
        self.office.says("fault clear")
        self.juliet.send(message(ROMEO, "four"))
        self.assertIn("four", self.heard(self.romeo))

    def test_split(self) -> None:
        """Each byte leaves alone."""
        self.fault("split", address=ROMEO)
        (wire,) = self.wires_of("romeo")
        written: list[bytes] = []
        self.patch(wire.transport, "write", written.append)
        self.juliet.send(message(ROMEO, "hark"))
        self.soon()
        self.assertEqual({len(each) for each in written}, {1})
        self.assertIn(b"<body>hark</body>", b"".join(written))

    def test_close_behind_what_waits(self) -> None:
        """A stream that ends is ended behind all that is late."""
        self.fault("delay", address=ROMEO, milliseconds="1000")
        self.juliet.send(message(ROMEO, "last words"))
        self.romeo.send("</stream:stream>")
        self.house.clock.pump([0.1] * 40)
        heard = self.romeo.raw().decode()
        self.assertLess(heard.index("last words"), heard.index("</stream:stream>"))

    def test_ends(self) -> None:
        """Streams end with the error that was asked for."""
        for condition in ("system-shutdown", "conflict", "reset"):
            with self.subTest(condition):
                (romeo,) = self.house.connect("romeo")
                self.fault("end", address=ROMEO, condition=condition, text="enough")
                heard = self.heard(romeo)
                self.assertIn(f"<{condition} ", heard)
                self.assertIn("enough", heard)
        (romeo,) = self.house.connect("romeo")
        self.fault("end", address=ROMEO, condition="see-other-host", host="[::1]:5222")
        self.assertIn("[::1]:5222</see-other-host>", self.heard(romeo))
        for given in ({"condition": "see-other-host"}, {"condition": "reset", "host": "x"}):
            self.assertIn("needs a host", self.office.refusal("fault end", address=JULIET, **given))

    def test_unknown(self) -> None:
        """A fault that there is not is refused by its name."""
        self.assertEqual(
            self.office.refusal("fault nap", address=ROMEO),
            'unknown command "fault nap"',
        )

    def test_too_many(self) -> None:
        """There is a limit of faults, and one that is taken back makes room."""
        table = self.house.server.commands.commands["fault list"].run.__self__.table  # type: ignore[attr-defined]
        table.max_faults = 2
        for _ in range(2):
            self.fault("split", address=ROMEO)
        self.assertIn("clear some", self.office.refusal("fault split", address=ROMEO))
        self.office.says("fault clear", address="montague.lit")
        self.fault("split", address=ROMEO)


class InnerFaultTests(FaultCase):
    def log_in(self) -> str:
        """Log in by a password, and say what came of it."""
        client = self.house.unauthenticated()
        client.open("montague.lit")
        client.raw()
        initial = b64encode(f"\0nurse\0{PASSWORD}".encode()).decode()
        client.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{initial}</auth>")
        return client.raw().decode()

    def test_login(self) -> None:
        """The next login is refused, whatever the password is; the one behind it is not."""
        self.office.replies("user add", account="nurse@montague.lit", password=PASSWORD)
        self.fault("login", address="nurse", condition="temporary-auth-failure", text="not now")
        self.assertIn("<temporary-auth-failure/>", self.log_in())
        self.assertIn("<success", self.log_in())
        self.assertEqual(self.faults(), [])

    def test_iq(self) -> None:
        """A request is answered with an error, or never; others are."""
        ping = "<iq type='get' id='p' to='montague.lit'><ping xmlns='urn:xmpp:ping'/></iq>"
        self.fault("iq", address=ROMEO, namespace="urn:xmpp:ping", condition="not-allowed")
        self.romeo.send(f"<iq type='get' id='r'><query xmlns='{ns.ROSTER}'/></iq>{ping}{ping}")
        heard = self.heard(self.romeo)
        self.assertIn("<not-allowed", heard)
        self.assertEqual((heard.count("type='result'"), heard.count("type='error'")), (2, 1))
        self.fault("iq", address=ROMEO)
        self.romeo.send(ping)
        self.assertEqual(self.heard(self.romeo), "")

    def test_offline_store(self) -> None:
        """Nothing is kept for an account whose store is full, and senders are told."""
        self.house.add("nurse")
        self.fault("offline", address="nurse")
        self.romeo.send(message("nurse@montague.lit", "hark"))
        self.assertIn("<service-unavailable", self.heard(self.romeo))
        self.office.says("fault clear")
        self.romeo.send(message("nurse@montague.lit", "hark"))
        self.assertEqual(self.heard(self.romeo), "")

    def test_slow_store(self) -> None:
        """Whatever asks the store takes as long as was asked."""
        self.house.add("nurse")
        self.fault("store", milliseconds="3000")
        self.romeo.send(message("nurse@montague.lit", "hark"))
        self.romeo.send(
            "<iq type='get' id='p' to='montague.lit'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
        self.house.clock.pump([0.1] * 29)
        self.assertNotIn(b"'p'", self.romeo.raw())
        self.house.clock.pump([0.1] * 300)
        self.assertIn(b"'p'", self.romeo.raw())
        self.assertGreater(
            self.house.store.watched.lately_s(), 0.25
        )  # as of a database that is slow
        self.office.says("fault clear")
        self.romeo.send(message("nurse@montague.lit", "hark"))
        self.fault("store", milliseconds="600000")
        self.romeo.send(message("nurse@montague.lit", "hark"))
        self.house.clock.pump([1.0] * 60)
        self.assertIn("<resource-constraint", self.heard(self.romeo))  # not in its time

    def test_outage(self) -> None:
        """A component is away, and cannot come back before that is over."""
        service = self.house.service("echo.lit", "x")
        self.romeo.send(message("echo.lit", "hark"))
        self.assertIn("hark", self.heard(service))
        self.fault("outage", address="echo.lit")
        self.soon()
        self.assertTrue(service.closed)
        again = self.house.service()
        again.open("echo.lit")
        self.soon()
        self.assertTrue(again.closed)
        self.romeo.send(message("echo.lit", "hark"))
        self.assertIn("type='error'", self.heard(self.romeo))
        self.office.says("fault clear", address="echo.lit")
        service = self.house.service("echo.lit", "x")
        self.romeo.send(message("echo.lit", "hark"))
        self.assertIn("hark", self.heard(service))

    def test_no_certificate(self) -> None:
        """Without TLS there is nothing to expire."""
        self.assertEqual(
            self.office.refusal("fault certificate", address="montague.lit"),
            "montague.lit has no certificate",
        )


class TokenFaultTests(TokenCase):
    def test_token(self) -> None:
        """A token that was given out has expired, and one that is given out then has not."""
        done(self.house.plugins.load("faults"))
        office, token = Office(self.house), self.token()
        self.assertIn("success", self.say(by_token(token)).names)
        office.rows("fault token", address=ROMEO)
        self.house.clock.advance(1)
        self.assertEqual(self.say(by_token(token)).failure, "credentials-expired")
        fresh = self.token(device=LAPTOP)
        self.assertIn("success", self.say(by_token(fresh, device=LAPTOP)).names)
        office.says("fault clear")
        self.assertIn("success", self.say(by_token(token)).names)


class SeenTests(FaultCase):
    def seen(self, address: str, **given: object) -> list[tuple[str, str]]:
        """What somebody got and sent."""
        rows = self.office.rows("seen list", address=address, **given)
        return [(str(row["direction"]), str(row["xml"])) for row in rows]

    def test_list(self) -> None:
        """What an account got and sent is there, in its order, and can be narrowed down."""
        self.romeo.send(message(JULIET, "one"))
        self.juliet.send(message(ROMEO, "two"))
        found = self.seen(ROMEO, element="message")
        self.assertEqual([direction for direction, _ in found], ["sent", "got"])
        self.assertIn("<body>two</body>", found[1][1])
        self.assertEqual(self.seen(ROMEO, direction="got", containing="two"), found[1:])
        self.assertEqual(self.seen(ROMEO, element="message", last="1"), found[1:])
        numbers = [row["number"] for row in self.office.rows("seen list", address=ROMEO)]
        self.assertEqual(self.seen(ROMEO, after=str(numbers[-1])), [])
        self.assertEqual(len(self.seen("montague.lit", element="message")), 4)
        self.assertEqual(self.seen(f"{ROMEO}/other"), [])

    def test_connection_that_is_gone(self) -> None:
        """What was on it can be seen when it is gone."""
        self.romeo.send(message(JULIET, "one"))
        self.fault("cut", address=ROMEO)
        self.soon()
        self.assertEqual(len(self.seen(f"{ROMEO}/1", element="message")), 1)

    def test_secrets(self) -> None:
        """A password is not shown."""
        self.office.replies("user add", account="nurse@montague.lit", password=PASSWORD)
        client = self.house.unauthenticated()
        client.open("montague.lit")
        initial = b64encode(f"\0nurse\0{PASSWORD}".encode()).decode()
        client.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{initial}</auth>")
        ((_, shown),) = self.seen("nurse@montague.lit", element="auth")
        self.assertIn(">…</auth>", shown)

    def test_wait(self) -> None:
        """Whoever waits gets what comes, or what has come; or hears what has not."""
        (row,) = self.office.rows("seen wait", address=ROMEO, element="presence")
        self.assertIn("<presence", str(row["xml"]))
        work = self.waiting(address=ROMEO, containing="hark")
        self.assertNoResult(work)
        self.juliet.send(message(ROMEO, "hark"))
        self.soon()
        self.assertIn("hark", self.successResultOf(work)[0]["xml"])

    def test_wait_in_vain(self) -> None:
        """There is a limit of the time for which somebody waits."""
        given = {"address": ROMEO, "element": "iq", "containing": "moon", "seconds": "3"}
        work = self.waiting(**given)
        self.house.clock.pump([0.5] * 7)
        self.assertEqual(
            str(self.failureResultOf(work).value),
            f'{ROMEO} had no <iq/> with "moon" that it got or sent within 3 s',
        )
        self.record().max_waiting = 0
        self.assertIn("other commands are waiting", self.office.refusal("seen wait", **given))

    def waiting(self, **given: object) -> Deferred[Any]:
        """Somebody who waits for an element."""
        return Deferred.fromCoroutine(self.office._replies("seen wait", given))

    def record(self) -> Any:
        """The plugin's record."""
        run: Any = self.house.server.commands.commands["seen list"].run
        return run.__self__.record

    def test_limits(self) -> None:
        """The oldest elements go when there are too many, or too long ones."""
        record = self.record()
        record.max_elements = 3
        for text in "abcd":
            self.romeo.send(message(JULIET, text))
        self.assertEqual(len(record.elements), 3)
        self.assertNotIn("<body>b<", "".join(xml for _, xml in self.seen(ROMEO)))
        record.max_bytes = 300
        self.romeo.send(message(JULIET, "x" * 200))
        self.assertEqual(len(record.elements), 1)


class LifeTests(SynchronousTestCase):
    def test_unload(self) -> None:
        """When the plugin goes, all is as it was, and what was frozen goes on."""
        house = House(plugins=("faults",), romeo={}, juliet={})
        office = Office(house)
        romeo, juliet = house.connect("romeo", "juliet")
        office.rows("fault freeze", address=ROMEO)
        juliet.send(message(ROMEO, "hark"))
        self.assertEqual(romeo.raw(), b"")
        done(house.plugins.unload("faults"))
        house.clock.pump([0.01] * 5)
        self.assertIn(b"hark", romeo.raw())
        server = house.server
        self.assertNotIn("opened", vars(server.client_connections))
        for stage in (server.store.database, server.tokens, server.auth_provider,
                      server.offline_message_strategy):  # fmt: skip
            self.assertEqual(type(stage).__module__.partition(".")[0], "xmppd", stage)
        (again,) = house.connect("romeo/2")
        self.assertIsInstance(again.handler.transport, StringTransport)
        self.assertNotIsInstance(again.handler.transport, Returning)

    def test_not_for_the_world(self) -> None:
        """It is not loaded where somebody could connect from another machine."""
        for endpoint, here in (
            ("epoll:5222", False),
            ("epoll:5222:interface=127.0.0.1", True),
            ("tcp:5222:interface=\\:\\:1", True),
            ("unix:/tmp/x", True),
            ("epoll:5222:interface=192.0.2.1", False),
        ):
            with self.subTest(endpoint):
                listen = [{"endpoint": endpoint, "tls": "none"}]
                house = House(config=house_config("montague.lit", listen=listen))
                if here:
                    done(house.plugins.load("faults"))
                    continue
                with self.assertRaisesRegex(PluginError, "other machines can reach"):
                    done(house.plugins.load("faults"))
