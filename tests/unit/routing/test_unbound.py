"""A stream without a resource is sent the answers to what it asked, and nothing else (SC-8)."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import ns
from xmppd.testing.client import Client, Elsewhere
from xmppd.testing.house import House

DOMAIN = "montague.lit"
STANZAS = (
    "<message id='1' to='{to}'><body>hello</body></message>",
    "<message id='1' to='{to}' type='headline'><body>hello</body></message>",
    "<message id='1' to='{to}' type='error'/>",
    "<presence id='1' to='{to}'/>",
    "<presence id='1' to='{to}' type='unavailable'/>",
    "<presence id='1' to='{to}' type='subscribe'/>",
    "<presence id='1' to='{to}' type='probe'/>",
    "<presence id='1' to='{to}' type='error'/>",
    "<iq id='1' to='{to}' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<iq id='1' to='{to}' type='set'><query xmlns='jabber:iq:roster'/></iq>",
    "<iq id='1' to='{to}' type='result'/>",
    "<iq id='1' to='{to}' type='error'/>",
)


class UnboundTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(DOMAIN, plugins=("ping", "register"), romeo={}, juliet={})
        (self.romeo,) = self.house.connect("romeo")

    def strangers(self) -> dict[str, Client]:
        """Streams that have come more or less far, without a resource."""
        silent, opened = self.house.unauthenticated(), self.house.unauthenticated()
        opened.open(DOMAIN)
        strangers = {
            "no header": silent,
            "a header": opened,
            "logged in": self.house.logged_in("juliet"),
        }
        for client in strangers.values():
            client.raw()
        return strangers

    def test_nothing_is_routed_there(self) -> None:
        """Whatever somebody addresses to DOMAIN/STREAM-ID reaches no stream of that id."""
        service = Elsewhere(self.house, "rooms.montague.lit")
        for name, client in self.strangers().items():
            to = client.session.jid.full
            for stanza in STANZAS:
                with self.subTest(stream=name, stanza=stanza):
                    self.romeo.send(stanza.format(to=to))
                    service.send(
                        stanza.format(to=to).replace("id=", "from='rooms.montague.lit' id=")
                    )
                    self.assertEqual(client.raw(), b"")

    def test_as_if_nobody_were_there(self) -> None:
        """Who writes there is told what they are told of an id that never was."""
        client = self.strangers()["logged in"]
        for stanza in STANZAS:
            answers = []
            for id in (client.session.id, "0123456789abcdef"):
                self.romeo.send(stanza.format(to=f"{DOMAIN}/{id}"))
                answers.append("".join(self.romeo.received()).replace(id, ""))
            self.assertEqual(*answers)

    def test_answers_arrive(self) -> None:
        """A stream is answered what it asks before it is bound, also when that fails."""
        client = self.house.unauthenticated()
        client.open(DOMAIN)
        client.raw()
        client.send("<iq id='r' type='get'><query xmlns='jabber:iq:register'/></iq>")
        self.assertIn("service-unavailable", client.received()[0])
        client = self.house.logged_in("juliet")
        bad = "<resource>&#x378;</resource>"  # a code point that means nothing
        client.send(f"<iq id='b' type='set'><bind xmlns='{ns.BIND}'>{bad}</bind></iq>")
        self.assertIn("bad-request", client.received()[0])
        client.send(f"<iq id='b' type='set'><bind xmlns='{ns.BIND}'/></iq>")
        self.assertIn("<jid>juliet@montague.lit/", client.received()[0])

    def test_nobody_is_kept(self) -> None:
        """A stream that ends, or is bound, leaves nothing behind."""
        table = self.house.server.routing_table
        for client in self.strangers().values():
            client.abort()
        self.house.bind("juliet").abort()
        self.assertEqual(table.unbound, {})
        self.assertEqual(list(table.bound), ["romeo@montague.lit/1"])
