"""Archives with clients that others have written, and with the logins of some by the letter."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from slixmpp.exceptions import IqError

from tests.integration.devices import CARBONS, Device
from tests.integration.people import PASSWORD, PLUGINS, Person, ServerCase, people
from tests.integration.raw_client import RawClient
from xmppd.stanza import ns
from xmppd.stanza.result import MAM
from xmppd.stanza.rsm import RSM

MORE = (*PLUGINS, "xep_0059", "xep_0297", "xep_0313", "xep_0359", "xep_0441")
LOADED = ["disco", "ping", "carbons", "archive"]
ROSTER = f"<iq type='get' id='roster'><query xmlns='{ns.ROSTER}'/></iq>"
PREFERENCES = f"<iq type='get' id='prefs'><prefs xmlns='{MAM}'/></iq>"
ALWAYS = f"<iq type='set' id='prefs'><prefs xmlns='{MAM}' default='always'/></iq>"
PRESENCE = "<presence/>"


class ArchiveServerCase(ServerCase):
    """A server with an archive."""

    settings = {"plugins": {"load": LOADED}}


class SlixmppTests(ArchiveServerCase):
    """slixmpp's plugins for archives and preferences."""

    async def talk(self, *bodies: str) -> tuple[Person, Person]:
        """Two who have said this to each other, in turn."""
        romeo, juliet = [
            await self.person(f"{self.account(name)}/{name}", plugins=MORE).arrive()
            for name in ("romeo", "juliet")
        ]
        for number, body in enumerate(bodies):
            one, other = (juliet, romeo) if number % 2 else (romeo, juliet)
            one.say(other.boundjid.bare, body)
            await other.expect("message", body=body)
        return romeo, juliet

    def bodies(self, results: Any) -> list[str]:
        """What was said in these results."""
        return [each["mam_result"]["forwarded"]["stanza"]["body"] for each in results]

    @people
    async def test_query(self) -> None:
        """A query gives all of it, each with its id and its time."""
        romeo, _ = await self.talk("a", "b", "c")
        answer = await romeo["xep_0313"].retrieve()
        results = answer["mam"]["results"]
        self.assertEqual(self.bodies(results), list("abc"))
        stamp = results[0]["mam_result"]["forwarded"]["delay"]["stamp"]
        self.assertLess(datetime.now(UTC) - stamp, timedelta(minutes=5))
        self.assertEqual(answer["mam_fin"]["rsm"]["last"], results[-1]["mam_result"]["id"])

    @people
    async def test_filters(self) -> None:
        """It may be narrowed to a conversation and a time."""
        romeo, juliet = await self.talk("a", "b")
        romeo.say(romeo.boundjid.bare, "note")
        await romeo.catch_up()
        mam = romeo["xep_0313"]
        answer = await mam.retrieve(with_jid=juliet.boundjid.bare)
        self.assertEqual(self.bodies(answer["mam"]["results"]), ["a", "b"])
        answer = await mam.retrieve(start=datetime.now(UTC) + timedelta(hours=1))
        self.assertEqual(self.bodies(answer["mam"]["results"]), [])
        answer = await mam.retrieve(end=datetime.now(UTC) + timedelta(hours=1))
        self.assertEqual(self.bodies(answer["mam"]["results"]), ["a", "b", "note"])

    @people
    async def test_iterate(self) -> None:
        """Page after page, forwards and backwards."""
        said = [str(number) for number in range(17)]
        romeo, _ = await self.talk(*said)
        mam = romeo["xep_0313"]
        found = [each async for each in mam.iterate(rsm={"max": 5})]
        self.assertEqual(self.bodies(found), said)
        found = [each async for each in mam.iterate(rsm={"max": 5}, reverse=True)]
        self.assertEqual(self.bodies(found), said[::-1])
        found = [each async for each in mam.iterate(rsm={"max": 5}, total=7)]
        self.assertEqual(self.bodies(found), said[:7])

    @people
    async def test_about(self) -> None:
        """Fields, metadata and what is announced are as slixmpp reads them."""
        romeo, juliet = await self.talk("a", "b")
        mam, bare = romeo["xep_0313"], romeo.boundjid.bare
        form = await mam.get_fields(bare)
        self.assertLessEqual({"with", "start", "end", "ids"}, set(form.get_fields()))
        metadata = (await mam.get_archive_metadata(bare))["mam_metadata"]
        answer = await mam.retrieve()
        ids = [each["mam_result"]["id"] for each in answer["mam"]["results"]]
        self.assertEqual([metadata["start"]["id"], metadata["end"]["id"]], ids)
        info = await romeo["xep_0030"].get_info(jid=bare)
        self.assertIn(MAM, info["disco_info"]["features"])
        with self.assertRaises(IqError) as raised:
            await mam.retrieve(jid=juliet.boundjid.bare)
        self.assertEqual(raised.exception.condition, "forbidden")

    @people
    async def test_preferences(self) -> None:
        """Preferences are told, changed, and gone by."""
        romeo, juliet = await self.talk("a")
        preferences = romeo["xep_0441"]
        self.assertEqual(await preferences.get_preferences(), ("always", set(), set()))
        bare = juliet.boundjid.bare
        await preferences.set_preferences(default="roster", always=[], never=[bare])
        self.assertEqual(await preferences.get_preferences(), ("roster", set(), {bare}))
        juliet.say(romeo.boundjid.bare, "b")
        await romeo.expect("message", body="b")
        found = await romeo["xep_0313"].retrieve()
        self.assertEqual(self.bodies(found["mam"]["results"]), ["a"])
        found = await juliet["xep_0313"].retrieve()
        self.assertEqual(self.bodies(found["mam"]["results"]), ["a", "b"])


class LoginTests(ArchiveServerCase):
    """OA-6: logins as clients do them. Whatever is said before, during and behind them is read, and
    is the same message for the client however often it comes.
    """

    def setUp(self) -> None:
        super().setUp()
        self.romeo = Device(self.server, self.account("romeo"))
        self.romeo.sasl2()
        self.romeo.send(ROSTER, PRESENCE)
        self.phone = Device(self.server, self.account("juliet"))
        self.said: list[str] = []

    def say(self, *bodies: str) -> None:
        """Romeo says something to Juliet."""
        self.romeo.say(self.phone.address, *bodies)
        self.said += bodies

    def check(self, again: int = 0) -> None:
        """All was read, with one id each; so often something came twice."""
        self.phone.sync()
        self.assertEqual(self.phone.read, sorted(self.said))
        self.assertEqual(self.phone.strangers, [])
        self.assertEqual(self.phone.again, again)
        self.phone.again = 0

    def away(self, how: Callable[[], None]) -> None:
        """The phone is away for a while, in which something is said."""
        how()
        self.say("while away 1", "while away 2", "while away 3", "while away 4")

    def info(self, to: str) -> str:
        """A question of service discovery."""
        query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
        return f"<iq type='get' id='disco' to='{to}'>{query}</iq>"

    def test_conversations(self) -> None:
        """Bind 2 with carbons and stream management; preferences, roster, presence; then the
        archive behind what it knows: nothing of what waited comes twice.
        """

        def log_in(*meanwhile: str) -> None:
            last = self.phone.last
            success = self.phone.bind2()
            self.assertIsNotNone(success.find(f".//{{{MAM}}}metadata"))
            self.phone.send(PREFERENCES, self.info(self.phone.address), ROSTER)
            self.say(*meanwhile)
            self.phone.send(PRESENCE)
            self.phone.sync()
            self.phone.catch_up(last)

        self.say("a", "b")
        log_in()
        self.check()
        self.away(self.phone.leave)
        log_in()
        self.check()
        self.away(self.phone.leave)
        log_in("behind the binding")  # from the store, and a result; no copy of what is kept
        self.check(again=1)

    def test_monal(self) -> None:
        """The binding of RFC 6120, all questions at once, preferences, presence, and the archive as
        soon as the account says that it has one.
        """

        def log_in() -> None:
            last = self.phone.last
            self.phone.sasl2()
            self.phone.send(ROSTER, self.info(self.phone.address), ALWAYS, PRESENCE)
            self.phone.sync()
            self.say("behind the presence")
            self.phone.catch_up(last)

        self.say("a", "b")
        log_in()
        self.check(again=3)
        self.away(self.phone.leave)
        log_in()
        self.check(again=5)

    def test_monal_fails_over(self) -> None:
        """Its last id is of an account that is gone: it asks again by time."""
        self.phone.sasl2()
        self.say("a")
        self.phone.send(ROSTER, ALWAYS)
        self.assertEqual(self.phone.ask(page=f"<after>{'0' * 32}</after>").get("type"), "error")
        self.phone.catch_up(None)
        self.phone.send(PRESENCE)
        self.check()

    def test_dino(self) -> None:
        """Bind 2, presence at once, the roster behind it, and then the archive."""

        def log_in() -> None:
            last = self.phone.last
            self.phone.bind2()
            self.phone.send(PRESENCE, ROSTER, self.info(self.phone.address))
            self.phone.sync()
            self.say("behind the presence")
            self.phone.catch_up(last)

        self.say("a", "b")
        log_in()
        self.check(again=1)
        self.away(self.phone.leave)
        log_in()
        self.check(again=1)

    def test_gajim(self) -> None:
        """The binding of RFC 6120, the roster, presence, and then the archive: what waited is sent,
        and known again.
        """

        def log_in() -> None:
            last = self.phone.last
            self.phone.sasl2()
            self.phone.send(self.info(self.phone.address), ROSTER, PRESENCE)
            self.phone.sync()
            self.phone.send(f"<iq type='set' id='carbons'>{CARBONS}</iq>")
            self.phone.catch_up(last)

        self.say("a", "b")
        log_in()
        self.check(again=2)
        self.away(self.phone.leave)
        log_in()
        self.check(again=4)

    def test_resumed(self) -> None:
        """A phone that comes back in time gets what it has missed, once, and need not ask."""
        self.phone.bind2()
        self.phone.send(ROSTER, PRESENCE)
        self.phone.sync()
        self.say("a")
        self.phone.sync()
        self.away(self.phone.vanish)
        success = self.phone.resume()
        self.assertIsNotNone(success.find(f".//{{{ns.STREAM_MANAGEMENT}}}resumed"))
        self.say("b")
        self.check()

    def test_two_devices(self) -> None:
        """Another device that was away reads what the first has seen, and what it has said, under
        the same ids.
        """
        self.phone.bind2()
        self.phone.send(ROSTER, PRESENCE)
        self.say("a")
        self.phone.say(self.romeo.address, "mine")
        self.said.append("mine")
        self.say("b")
        self.phone.catch_up(None)
        laptop = Device(self.server, self.phone.address)
        laptop.sasl2()
        laptop.catch_up(None)
        laptop.send(PRESENCE)
        laptop.sync()
        self.assertEqual(laptop.messages, self.phone.messages)
        self.assertEqual(laptop.read, sorted(self.said))
        self.assertEqual(laptop.again, 0)


class SlowReaderTests(ServerCase):
    """A page is larger than what may wait for a client."""

    settings = {
        "plugins": {"load": LOADED},
        "stream": {"stanzas_per_s": 1e6, "bytes_per_s": 1e9, "max_queued_bytes": 131_072},
    }
    said = 250

    def test_slow_reader(self) -> None:
        """SE-13, QU-15: A client that asks for three mebibytes and does not read is not cut off;
        what others say comes in between, and everything in order.
        """
        romeo, juliet = (Device(self.server, self.account(name)) for name in ("romeo", "juliet"))
        for device in (romeo, juliet):
            device.sasl2()
            device.send(PRESENCE)
        juliet.sync()
        address = juliet.address
        for _ in range(self.said // 10):
            romeo.say(address, *["x" * 3_500] * 10)
            juliet.sync()
        phone = RawClient(self.server)
        self.addCleanup(phone.close)
        phone.log_in(address.partition("@")[0], PASSWORD, "phone")
        asked = f"<query xmlns='{MAM}'><set xmlns='{RSM}'><max>250</max></set></query>"
        for number in range(3):
            phone.send(f"<iq type='set' id='q{number}'>{asked}</iq>".encode())
        phone.send(b"<iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>")
        for _ in range(5):
            romeo.say(f"{address}/phone", "meanwhile")
        data = b"".join(phone.until(b"</fin>") for _ in range(3))
        self.assertEqual(data.count(b"<result "), 3 * self.said)
        places = [data.index(f"id='q{number}'".encode()) for number in range(3)]
        self.assertEqual(places, sorted(places))
        if b"id='last'" not in data:  # a page may leave in one turn, before what follows is read
            phone.until(b"id='last'")
        self.assertGreaterEqual(data.count(b"meanwhile"), 5)
