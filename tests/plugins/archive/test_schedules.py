"""Three devices of one account, with any logins, losses and queries in any order: whatever they
miss for a while, they have all that was said, each message once by its id, and in one order.
"""

from random import Random
from xml.etree import ElementTree

from tests.plugins.archive.archives import JULIET, ROMEO, body_of, chat
from tests.plugins.archive.queries import QueryCase, after, page, query, read_answer
from tests.unit.login.logins import BIND, HEADER, Answer, authenticate, plain
from xmppd.testing.client import Client, done
from xmppd.testing.house import PASSWORD
from xmppd_plugins.archive.entries import ALL

SEEDS = range(25)
STEPS = 40
DEVICES = 3


class Phone:
    """A device that reads behind the last message up to which it knows everything.

    Attributes:
        name: Its resource, while it binds as RFC 6120 has it.
        client: Its connection; None while it has none.
        read: The texts of what it has, by id.
        known: The id of the last message up to which it knows everything.
        synced: Whether it has caught up, and knows what comes since as it comes.
        available: Whether it has sent presence: before that some of what comes waits for it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.client: Client | None = None
        self.read: dict[str, str] = {}
        self.known: str | None = None
        self.synced = self.available = False
        self.resumable = ""
        self.handled = 0

    def take(self, stanzas: list[str]) -> list[str]:
        """Take what came."""
        for each in map(ElementTree.fromstring, stanzas):
            if each.tag not in ("message", "presence", "iq"):
                continue
            self.handled += 1
            for message in (each, *each.iter("{jabber:client}message")):
                id = message.find("{urn:xmpp:sid:0}stanza-id")
                body = message.findtext("{jabber:client}body") or message.findtext("body")
                if id is not None and body is not None:
                    assert self.read.setdefault(id.attrib["id"], body) == body
                    live = self.synced and self.available
                    if live and each.tag == "message" and "result" not in each[0].tag:
                        self.known = id.attrib["id"]
        return stanzas


class ScheduleTests(QueryCase):
    def test_any_schedule(self) -> None:
        """OA-6: All of them, for each seed."""
        for seed in SEEDS:
            with self.subTest(seed=seed):
                self.tearDown()
                self.setUp()
                self.play(Random(seed))

    def play(self, chance: Random) -> None:
        """One schedule, and then everybody catches up."""
        done(self.house.server.passwords.set_password(JULIET, PASSWORD))
        self.juliet.send("</stream:stream>")
        self.phones = [Phone(f"p{number}") for number in range(DEVICES)]
        self.texts: list[str] = []
        for _ in range(STEPS):
            phone = chance.choice(self.phones)
            self.something(chance, phone)
            self.answer()
        for phone in self.phones:
            if phone.client is None:
                self.log_in(phone)
            assert phone.client is not None
            phone.client.send("<presence/>")
            phone.available = True
            self.answer()
            if not phone.synced:
                self.catch_up(phone)
        archived = dict(self.archived())
        self.assertEqual(list(archived.values()), self.texts)
        for phone in self.phones:
            self.assertEqual(phone.read, {**archived, **phone.read}, phone.name)
            self.assertEqual(sorted(phone.read.values()), sorted(self.texts), phone.name)

    def something(self, chance: Random, phone: Phone) -> None:
        """The next thing that happens."""
        what = chance.random()
        if what < 0.4:
            self.say_something(chance, phone)
        elif phone.client is None:
            if phone.resumable and chance.random() < 0.5:
                self.resume(phone)
            else:
                chance.choice((self.bind2, self.log_in))(phone)
        elif what < 0.6:
            phone.client.send("<presence/>")
            phone.available = True
        elif what < 0.75:
            self.catch_up(phone)
        elif what < 0.8:
            self.write()
        elif what < 0.85:
            self.index()
        elif what < 0.95:
            self.lose(phone)
        else:
            phone.take(phone.client.received())
            phone.client.send("<presence type='unavailable'/>")
            phone.available = False

    def say_something(self, chance: Random, phone: Phone) -> None:
        """Romeo says something, or another device of hers does."""
        self.texts.append(f"{len(self.texts)}")
        if phone.client is not None and chance.random() < 0.3:
            phone.client.send(chat(ROMEO, self.texts[-1]))
            phone.synced = False  # it has to ask for the id of that
        else:
            to = JULIET
            if phone.client is not None and phone.available and chance.random() < 0.3:
                to = phone.client.session.jid.full
            self.romeo.send(chat(to, self.texts[-1]))

    def answer(self) -> None:
        """Everybody reads, acknowledges, and answers pings."""
        for phone in self.phones:
            client = phone.client
            if client is None:
                continue
            for each in phone.take(client.received()):
                if each.startswith("<iq") and "type='get'" in each:
                    id = each.partition(" id='")[2].partition("'")[0]
                    client.send(f"<iq type='result' id='{id}'/>")
            if client.session.management is not None and not client.closed:
                client.send(f"<a xmlns='urn:xmpp:sm:3' h='{phone.handled}'/>")

    # -- logins -----------------------------------------------------------------------------------

    def log_in(self, phone: Phone) -> None:
        """The binding of RFC 6120, with stream management and carbons."""
        phone.client = self.house.bind("juliet", phone.name)
        phone.resumable = phone.client.enable()
        phone.handled, phone.synced, phone.available = 0, False, False
        phone.client.send("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")

    def bind2(self, phone: Phone) -> None:
        """Bind 2 with all inside."""
        client = self.house.unauthenticated()
        inside = "<enable xmlns='urn:xmpp:carbons:2'/><enable xmlns='urn:xmpp:sm:3' resume='true'/>"
        bind = BIND.replace("</bind>", f"{inside}</bind>")
        client.send(HEADER + authenticate(plain("juliet"), bind))
        success = Answer(client.raw())["success"]
        enabled = success.find(".//{urn:xmpp:sm:3}enabled")
        end = success.find(".//{urn:xmpp:mam:2}end")
        assert enabled is not None
        phone.client, phone.handled, phone.resumable = client, 0, enabled.attrib["id"]
        phone.available = False
        phone.synced = end is not None and end.get("id") == phone.known  # there is nothing to ask

    def resume(self, phone: Phone) -> None:
        """Come back, if that is not too late."""
        client = self.house.logged_in("juliet")
        came = client.resume(phone.resumable, phone.handled)
        if came and came[0].startswith("<resumed"):
            phone.client = client
            phone.take(came)
        else:
            client.abort()
            phone.resumable = ""

    def lose(self, phone: Phone) -> None:
        """The connection breaks, before everything was read."""
        assert phone.client is not None
        phone.client.abort()
        phone.client = None

    # -- the archive ------------------------------------------------------------------------------

    def catch_up(self, phone: Phone) -> None:
        """Read on behind what is known without a gap."""
        client = phone.client
        assert client is not None
        phone.take(client.received())
        while True:
            client.send(query(page("" if phone.known is None else after(phone.known), max=4)))
            answer = read_answer(phone.take(self.until_answered(client)))
            self.assertEqual(answer.error, "")
            phone.known = answer.last or phone.known
            if answer.complete:
                phone.synced = True
                return

    def archived(self) -> list[tuple[str, str]]:
        """What is in her archive, with ids."""
        page = done(self.archive.entries.page(JULIET, ALL, 1_000))
        return [(self.archive.id_of(JULIET, each.position), body_of(each)) for each in page]
