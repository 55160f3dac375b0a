"""Accounts on nodes in processes of their own, on one PostgreSQL database."""

from tests.integration.nodes_case import NodesCase
from tests.integration.processes import Peer

SET = (
    b"<iq type='set' id='s%d'><query xmlns='jabber:iq:roster'><item jid='c%d@elsewhere.lit'"
    b" name='%b'/></query></iq>"
)
ROUNDS = 20


class RedisAccountTests(NodesCase):
    """Where all goes by Redis."""

    def test_one_roster(self) -> None:
        """Two clients of one account change its roster at two nodes at the same time: no change is
        lost, each is answered, and both are pushed all of them.
        """
        a, b = self.started("a", "b")
        a.add_user("romeo", "a rose")
        clients = [self.client(node, "romeo") for node in (a, b)]
        for number in range(ROUNDS):
            for name, client in zip((b"phone", b"desk"), clients, strict=True):
                contact = number * 2 + (name == b"desk")
                client.send(SET % (contact, contact, name))
        for client in clients:
            self.pushed(client, {b"c%d@elsewhere.lit" % number for number in range(ROUNDS * 2)})
        rosters = [self.roster(client) for client in clients]
        self.assertEqual(rosters[0], rosters[1])
        self.assertEqual(len(rosters[0][1]), ROUNDS * 2)

    def pushed(self, client: Peer, contacts: set[bytes]) -> None:
        """Wait until a client was pushed all of these contacts."""
        while contacts:
            item = client.until(b"<item jid='") and client.until(b"'")
            contacts.discard(item.rstrip(b"'"))

    def roster(self, client: Peer) -> tuple[bytes, set[bytes]]:
        """The version of the roster that a client gets, and the contacts."""
        client.send(b"<iq type='get' id='get'><query xmlns='jabber:iq:roster'/></iq>")
        client.until(b" id='get'")
        whole = client.until(b"</iq>")
        version = whole.partition(b"ver='")[2].partition(b"'")[0]
        return version, {part.partition(b"'")[0] for part in whole.split(b"<item jid='")[1:]}

    def test_subscription(self) -> None:
        """Two people at different nodes agree to see each other, and do."""
        a, b = self.started("a", "b")
        for name in ("romeo", "juliet"):
            a.add_user(name, "a rose")
        romeo, juliet = self.client(a, "romeo"), self.client(b, "juliet")
        romeo.send(b"<presence to='juliet@localhost' type='subscribe'/>")
        juliet.until(b"type='subscribe'")
        juliet.send(b"<presence to='romeo@localhost' type='subscribed'/>")
        romeo.until(b"subscription='to'")
        romeo.until(b"<presence from='juliet@localhost/")
        juliet.until(b"subscription='from'")
        juliet.send(b"<presence><show>away</show></presence>")
        romeo.until(b"<show>away</show>")


class LinkAccountTests(RedisAccountTests):
    """Where nodes have links."""

    links = "direct"
