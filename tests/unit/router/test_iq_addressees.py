"""Whom a handler answers for: each kind of handler, asker and address."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import condition
from tests.scenarios.test_guests import come_in
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.stanza import IQ, Condition, Element, StanzaError, element, qname
from xmppd.stanza.guests import new_guest
from xmppd.stanza.xml import Tree
from xmppd.testing.client import Client, Elsewhere
from xmppd.testing.house import House, house_config

DOMAIN = "montague.lit"
NS = "urn:example:asked"

# What a handler answers, or is not asked. Juliet and, at capulet.lit, the nurse may see Romeo; he
# has blocked Paris; Tybalt, at capulet.lit Rosaline, and a guest are nobody to him.
#
#   server, own, account   the handler is asked, and told that the question is that one's
#   refused                it is not, and the sender is told what the handler has such told
#   unavailable            it is not, and the sender hears nothing but service-unavailable
TABLE = """
asks       whom      SERVER       OWN_ACCOUNT  ACCOUNTS_SEEN  GUESTS       ACCOUNTS

romeo      -         server       own          refused        refused      refused
romeo      server    server       refused      refused        refused      refused
romeo      server/x  server       refused      refused        refused      refused
romeo      romeo     refused      own          refused        refused      refused
guest      -         server       own          refused        refused      refused
guest      guest     refused      own          refused        refused      refused

juliet     romeo     refused      refused      account        refused      account
tybalt     romeo     refused      refused      refused        refused      account
guest      romeo     refused      refused      refused        refused      account
romeo      guest     refused      refused      refused        account      account

paris      romeo     unavailable  unavailable  unavailable    unavailable  unavailable
romeo      nobody    unavailable  unavailable  unavailable    unavailable  unavailable
romeo      gone      unavailable  unavailable  unavailable    unavailable  unavailable

nurse      server    server       refused      refused        refused      refused
nurse      romeo     refused      refused      account        refused      account
rosaline   romeo     unavailable  unavailable  unavailable    unavailable  account
nurse      nobody    unavailable  unavailable  unavailable    unavailable  unavailable
rosaline   guest     unavailable  unavailable  unavailable    account      account
capulet    server    server       refused      refused        refused      refused
component  server    server       refused      refused        refused      refused
component  romeo     unavailable  unavailable  unavailable    unavailable  account
"""


class Handler(IQHandler):
    """Says what it is told; a set fails."""

    refusal = Condition.NOT_ALLOWED

    def on_get(self, iq: IQ, asked: Asked) -> Element:
        return element(
            NS,
            "asked",
            address=asked.address.full,
            whose="own" if asked.own else "server" if asked.server else "account",
            session="" if asked.asker is None else asked.asker.jid.full,
        )

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        raise StanzaError(Condition.CONFLICT if asked.session else Condition.GONE)


def handler_for(query: str, whom: To) -> IQHandler:
    """A handler for these, with a query of its own."""

    class One(Handler):
        """Answers for these."""

    One.query, One.to = qname(NS, query), whom
    return One()


class Silent(Handler):
    """Says nothing of whom it answers for."""

    query = qname(NS, "silent")


class AddresseeTests(SynchronousTestCase):
    def setUp(self) -> None:
        config = house_config(DOMAIN, auth={"mechanisms": ("ANONYMOUS", "PLAIN")})
        self.house = House(
            config=config,
            plugins=("blocking",),
            romeo={"juliet": "both", "nurse@capulet.lit": "from"},
            juliet={"romeo": "both"},
            tybalt={},
            paris={},
        )
        for name, whom in (*To.__members__.items(), ("several", To.SERVER | To.OWN_ACCOUNT)):
            self.house.server.iq_router.put(handler_for(name, whom), "test")
        self.house.server.iq_router.put(Silent(), "test")
        romeo, juliet, tybalt, paris = self.house.connect("romeo", "juliet", "tybalt", "paris")
        self.guest = come_in(self.house)
        block = f"<item jid='paris@{DOMAIN}'/>"
        romeo.send(f"<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>{block}</block></iq>")
        self.clients: dict[str, Client] = {
            "romeo": romeo, "juliet": juliet, "tybalt": tybalt, "paris": paris, "guest": self.guest,
        }  # fmt: skip
        elsewhere = Elsewhere(self.house)
        component = Elsewhere(self.house, f"rooms.{DOMAIN}")
        self.others = {
            "nurse": (elsewhere, "nurse@capulet.lit/1"),
            "rosaline": (elsewhere, "rosaline@capulet.lit/1"),
            "capulet": (elsewhere, "capulet.lit"),
            "component": (component, f"rooms.{DOMAIN}"),
        }
        elsewhere.heard()
        guest = self.guest.session.jid.bare
        self.addresses = {
            "-": "", "server": DOMAIN, "server/x": f"{DOMAIN}/x", "guest": guest,
            "gone": new_guest(DOMAIN).bare,
        }  # fmt: skip

    def ask(self, who: str, whom: str, query: str, type: str = "get") -> Tree:
        """Ask; the answer."""
        address = self.addresses.get(whom, f"{whom}@{DOMAIN}")
        to = f" to='{address}'" if address else ""
        inside = f"<{query} xmlns='{NS}'/>"
        client = self.clients.get(who)
        if client is not None:
            client.raw()
            client.send(f"<iq{to} type='{type}' id='q'>{inside}</iq>")
            (answer,) = client.received()
        else:
            elsewhere, sender = self.others[who]
            elsewhere.send(f"<iq from='{sender}'{to} type='{type}' id='q'>{inside}</iq>")
            (answer,) = elsewhere.heard()
        return ElementTree.fromstring(answer)

    def test_table(self) -> None:
        """Each kind of handler, asked by each kind of sender, for each kind of address (IQ-19)."""
        header, *rows = (line.split() for line in TABLE.splitlines() if line)
        services = ["SERVICES", "ENTITIES"]
        self.assertEqual(header[2:] + services, [whom.name for whom in To])
        for who, whom, *cells in rows:
            with self.subTest(asks=who, whom=whom, to=services):
                nobody = "refused" if cells[0] == "server" else cells[0]
                answers = [outcome(self.ask(who, whom, query)) for query in services]
                self.assertEqual(answers, [nobody] * 2)
            for query, expected in zip(header[2:], cells, strict=True):
                with self.subTest(asks=who, whom=whom, to=query):
                    self.assertEqual(outcome(self.ask(who, whom, query)), expected)

    def test_several(self) -> None:
        """A handler for several is asked for each; without an address, for one's own account."""
        for whom, expected in (("-", "own"), ("server", "server"), ("romeo", "own")):
            self.assertEqual(outcome(self.ask("romeo", whom, "several")), expected)

    def test_silent(self) -> None:
        """A handler that is silent about it answers for the server, and for no account."""
        for whom, expected in (
            ("-", "server"), ("server", "server"), ("romeo", "refused"), ("juliet", "refused"),
            ("nobody", "unavailable"),
        ):  # fmt: skip
            self.assertEqual(outcome(self.ask("romeo", whom, "silent")), expected)

    def test_what_is_told(self) -> None:
        """The account or domain that is asked, never a resource, and the session that asks."""
        for who, whom, query, address, session in (
            ("romeo", "-", "OWN_ACCOUNT", f"romeo@{DOMAIN}", f"romeo@{DOMAIN}/1"),
            ("romeo", "-", "SERVER", DOMAIN, f"romeo@{DOMAIN}/1"),
            ("juliet", "server/x", "SERVER", DOMAIN, f"juliet@{DOMAIN}/1"),
            ("juliet", "romeo", "ACCOUNTS_SEEN", f"romeo@{DOMAIN}", f"juliet@{DOMAIN}/1"),
            ("nurse", "romeo", "ACCOUNTS_SEEN", f"romeo@{DOMAIN}", ""),
        ):
            with self.subTest(asks=who, whom=whom):
                (told,) = self.ask(who, whom, query)
                self.assertEqual((told.get("address"), told.get("session")), (address, session))

    def test_like_nobody(self) -> None:
        """Who may not know an account cannot tell it from one that does not exist, whatever it
        asks, and whether the handler is asked or not (IQ-8, IQ-18).
        """
        for who in ("rosaline", "component"):
            for query in To.__members__:
                for type in ("get", "set"):
                    if (query, type) == ("ACCOUNTS", "get"):
                        continue
                    there, nowhere = (self.ask(who, to, query, type) for to in ("romeo", "nobody"))
                    del there.attrib["from"], nowhere.attrib["from"]
                    with self.subTest(asks=who, to=query, type=type):
                        self.assertEqual(ElementTree.tostring(there), ElementTree.tostring(nowhere))

    def test_no_client(self) -> None:
        """What only a client of this server may ask is not allowed to anybody else."""
        self.assertEqual(condition(self.ask("romeo", "server", "SERVER", "set")), "conflict")
        for who in ("nurse", "capulet", "component"):
            self.assertEqual(condition(self.ask(who, "server", "SERVER", "set")), "not-allowed")


def outcome(answer: Tree) -> str:
    """What became of a question, as the table says it."""
    if answer.get("type") == "result":
        return answer[0].get("whose", "")
    return {"not-allowed": "refused", "service-unavailable": "unavailable"}[condition(answer)]
