"""Accounts on nodes in processes of their own, on one PostgreSQL database."""

from tests.integration.nodes_case import SharedNodesCase
from tests.integration.processes import Peer

SET = (
    b"<iq type='set' id='s%d'><query xmlns='jabber:iq:roster'><item jid='c%d@elsewhere.lit'"
    b" name='%b'/></query></iq>"
)
ROUNDS = 20


class RedisAccountTests(SharedNodesCase):
    """Where all goes by Redis."""

    def test_one_roster(self) -> None:
        """Two clients of one account change its roster at two nodes at the same time: what is
        answered with a result is kept, what is answered "wait" can be said again, and both are
        pushed all of it.
        """
        a, b = self.started("a", "b")
        a.add_user("romeo", "a rose")
        clients = [self.client(node, "romeo") for node in (a, b)]
        told = [b"", b""]
        for number in range(ROUNDS):
            waiting = [number * 2, number * 2 + 1]
            for client, contact in zip(clients, waiting, strict=True):
                client.send(SET % (contact, contact, b"x"))
            for each, contact in enumerate(waiting):
                answer = clients[each].until(b" id='s%d'" % contact)
                while b"type='error'" in answer:
                    told[each] += answer
                    clients[each].send(SET % (contact, contact, b"x"))
                    answer = clients[each].until(b" id='s%d'" % contact)
                told[each] += answer
        for each, client in enumerate(clients):
            for contact in range(ROUNDS * 2):
                item = b"<item jid='c%d@elsewhere.lit'" % contact
                while item not in told[each]:
                    told[each] += client.until(b"</iq>")
        rosters = [self.roster(client) for client in clients]
        self.assertEqual(rosters[0], rosters[1])
        self.assertEqual(len(rosters[0][1]), ROUNDS * 2)

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
