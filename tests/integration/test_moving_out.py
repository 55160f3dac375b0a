"""People move from here to another server, log in there with the old password, and find what that
server takes.
"""

from functools import lru_cache
from pathlib import Path
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.ejabberd import Ejabberd
from tests.integration.movers import PLUGINS, ask, populate
from tests.integration.people import Home, Person
from tests.integration.prosody import Prosody
from tests.integration.test_moving import (
    DOMAIN,
    HERE,
    MODULES,
    NAMES,
    NEWS,
    PASSWORD,
    temporary,
    waited,
)
from xmppd.testing.process import ServerProcess
from xmppd.testing.signing_authority import SigningAuthority

ODD = "peter%kitchen#2"
"""A name that a reference to a file cannot have as it is."""

NURSE = "nurse-é"
CARD = "<vCard xmlns='vcard-temp'/>"
PRIVATE = "<query xmlns='jabber:iq:private'><exodus xmlns='exodus:prefs'/></query>"
BLOCKED = "<blocklist xmlns='urn:xmpp:blocking'/>"
Found = dict[str, tuple[str, str, list[str], bool]]


@lru_cache(maxsize=1)
def exported() -> Path:
    """What our server has written of its people."""
    directory = temporary()
    server = ServerProcess(directory, DOMAIN, plugins={"load": list(HERE)})
    server.start()
    try:
        for name in (*NAMES, NURSE, ODD):
            server.add_user(name, PASSWORD)
        waited(lambda: populate(server, DOMAIN, PASSWORD))
        waited(lambda: follow(server))
        server.tell("export", format="xep0227", directory=str(directory / "out"))
    finally:
        server.stop()
    return directory / "out"


async def follow(server: Home) -> None:
    """The nurse sees when Peter is there, and not the other way round."""
    nurse, peter = (person(server, name) for name in (NURSE, ODD))
    for each in (nurse, peter):
        await each.arrive()
    nurse.send_presence(pto=peter.boundjid.bare, ptype="subscribe")
    await peter.expect("presence", type="subscribe")
    peter.send_presence(pto=nurse.boundjid.bare, ptype="subscribed")
    await nurse.expect("presence", type="subscribed")
    for each in (nurse, peter):
        await each.leave()


def person(server: Home, name: str) -> Person:
    """Somebody who has moved, and logs in by SCRAM alone, so with the keys that have moved."""
    return Person(server, f"{name}@{DOMAIN}", PASSWORD, mechanism="SCRAM-SHA-1", plugins=PLUGINS)


async def contacts(person: Person) -> Found:
    """The roster, as far as a server says it."""
    await person.get_roster()
    return {
        str(jid): (
            person.client_roster[jid]["name"],
            person.client_roster[jid]["subscription"],
            person.client_roster[jid]["groups"],
            person.client_roster[jid]["pending_out"],
        )
        for jid in person.client_roster
        if str(jid) != person.boundjid.bare
    }


async def told(person: Person, asked: str) -> str:
    """The answer to a query."""
    iq = person.make_iq_get()
    iq.append(ElementTree.fromstring(asked))
    return ElementTree.tostring((await iq.send()).xml, encoding="unicode")


class MovingOutCase(SynchronousTestCase):
    """Another server, which serves the same domain and has nobody yet."""

    def setUp(self) -> None:
        self.directory = temporary()
        self.authority = SigningAuthority(self.directory, "authority")

    async def found(self, server: Home, *, asks: bool) -> Person:
        """What every server takes is there; Romeo, who is.

        Args:
            server: The one that people have moved to.
            asks: Whether it knows for whose answer somebody waits.
        """
        nurse, peter, romeo = (person(server, name) for name in (NURSE, ODD, "romeo"))
        for each, contact, subscription in ((nurse, ODD, "to"), (peter, NURSE, "from")):
            await each.log_in()
            found = await contacts(each)
            self.assertEqual(found, {f"{contact}@{DOMAIN}": ("", subscription, [], False)})
            await each.leave()
        await romeo.log_in()
        self.assertEqual(
            await contacts(romeo),
            {
                f"juliet@{DOMAIN}": ("J & é", "both", ["Fair"], False),
                f"mercutio@{DOMAIN}": ("", "none", [], asks),
            },
        )
        romeo.send_presence()
        request = await romeo.expect("presence", type="subscribe")
        self.assertEqual(request["from"].bare, f"tybalt@{DOMAIN}")
        self.assertIn("Romeo Mø", await told(romeo, CARD))
        self.assertIn("é", await told(romeo, PRIVATE))
        return romeo


class ToEjabberdTests(MovingOutCase):
    """To Debian's ejabberd."""

    def test_everything(self) -> None:
        """What ejabberd takes is there: rosters, requests, messages that wait, whom somebody has
        blocked, cards and private storage.
        """
        ejabberd = Ejabberd(self.directory, DOMAIN, authority=self.authority)
        ejabberd.start()
        self.addCleanup(ejabberd.stop)
        source = exported() / "server-data.xml"
        self.assertEqual(ejabberd.do("import_piefxis", file=str(source)), 0)
        waited(lambda: self._everything(ejabberd))

    async def _everything(self, ejabberd: Ejabberd) -> None:
        romeo = await self.found(ejabberd, asks=False)
        await romeo.expect("message", body="Wherefore <art> thou?")
        blocked = await told(romeo, BLOCKED)
        for name in ("paris", "sampson"):
            self.assertIn(f"{name}@capulet.example", blocked)
        await romeo.leave()


class ToProsodyTests(MovingOutCase):
    """To Debian's prosody."""

    def test_everything(self) -> None:
        """What Prosody takes is there: rosters, requests, cards, private storage, nodes and
        archives.
        """
        prosody = Prosody(
            self.directory,
            DOMAIN,
            authority=self.authority,
            signer=self.authority,
            dns=("127.0.0.1", 53),
            settings=MODULES,
            authentication="internal_hashed",
        )
        prosody.migrate(exported())
        prosody.start()
        self.addCleanup(prosody.stop)
        waited(lambda: self._everything(prosody))

    async def _everything(self, prosody: Prosody) -> None:
        romeo = await self.found(prosody, asks=True)
        self.assertIn("l'été", await told(romeo, NEWS))
        await ask(romeo, "<query xmlns='urn:xmpp:mam:2'/>")
        archived = "".join(
            ElementTree.tostring(each.xml, encoding="unicode") for each in romeo.inbox
        )
        for text in ("What man art thou?", "Wherefore &lt;art&gt; thou?"):
            self.assertIn(text, archived)
        await romeo.leave()
