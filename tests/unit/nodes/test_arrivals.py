"""Presence between nodes, as people see it: who comes, changes and goes on another node."""

from collections.abc import Collection, Mapping

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.node import Location
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import Client, Elsewhere
from xmppd.testing.house import house_config
from xmppd.testing.nodes import Nodes, saving_config

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
TYBALT, MERCUTIO = "tybalt@montague.lit", "mercutio@montague.lit"
NURSE = "nurse@montague.lit"


def availability(client: Client) -> list[str]:
    """What a client has heard of others: their address, and ``+`` or ``-``."""
    heard = []
    for stanza in client.received():
        if stanza.startswith("<presence"):
            sender = stanza.partition(" from='")[2].partition("'")[0]
            heard.append(("-" if "unavailable" in stanza else "+") + sender)
    return heard


class ArrivalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.nodes = Nodes(
            "a",
            "b",
            "c",
            romeo={"juliet": "both", "nurse": "from", "tybalt": "to"},
            juliet={"romeo": "both"},
            nurse={"romeo": "to"},
            tybalt={"romeo": "from"},
            mercutio={},
        )

    def come(self, node: str, name: str) -> Client:
        """A client that becomes available, and has not looked yet."""
        account, _, resource = name.partition("/")
        client = self.nodes[node].bind(account, resource or "1")
        client.send("<presence/>")
        return client

    def test_newcomer(self) -> None:
        """Two who see each other on different nodes: the newcomer sees the other, and is seen."""
        juliet = self.come("b", "juliet")
        juliet.raw()
        romeo = self.come("a", "romeo")
        self.assertEqual(availability(romeo), [f"+{ROMEO}/1", f"+{JULIET}/1"])
        self.assertEqual(availability(juliet), [f"+{ROMEO}/1"])

    def test_one_way(self) -> None:
        """Only who may see somebody is shown him."""
        nurse, tybalt = self.come("b", "nurse"), self.come("c", "tybalt")
        nurse.raw()
        tybalt.raw()
        romeo = self.come("a", "romeo")
        self.assertEqual(availability(romeo), [f"+{ROMEO}/1", f"+{TYBALT}/1"])
        self.assertEqual(availability(nurse), [f"+{ROMEO}/1"])
        self.assertEqual(availability(tybalt), [])

    def test_change(self) -> None:
        """A presence that changes is shown as it was sent."""
        juliet, romeo = self.come("b", "juliet"), self.come("a", "romeo")
        juliet.raw()
        romeo.send("<presence id='x'><show>away</show><status>a &amp; b</status></presence>")
        (got,) = juliet.received()
        self.assertEqual(
            got,
            f"<presence from='{ROMEO}/1' to='{JULIET}' id='x'><show>away</show>"
            "<status>a &amp; b</status></presence>",
        )

    def test_goodbye(self) -> None:
        """Each who saw somebody hears once that he is gone, with the status that he left."""
        juliet, romeo = self.come("b", "juliet"), self.come("a", "romeo")
        juliet.raw()
        romeo.send("<presence type='unavailable'><status>Exit</status></presence>")
        romeo.abort()
        (got,) = juliet.received()
        self.assertEqual(
            got,
            f"<presence from='{ROMEO}/1' to='{JULIET}' type='unavailable'>"
            "<status>Exit</status></presence>",
        )

    def test_connection_lost(self) -> None:
        """A connection that is lost is a goodbye; then nothing is left on any node."""
        juliet, romeo = self.come("b", "juliet"), self.come("a", "romeo")
        juliet.raw()
        romeo.abort()
        self.assertEqual(availability(juliet), [f"-{ROMEO}/1"])
        juliet.abort()
        for house in self.nodes.houses.values():
            self.assertEqual(house.server.routing_table.elsewhere, {})
            self.assertEqual(house.server.routing_table.interest.known_at, {})

    def test_own_resources(self) -> None:
        """Resources of one account see each other, wherever they are."""
        orchard = self.come("a", "romeo/orchard")
        orchard.raw()
        street = self.come("b", "romeo/street")
        self.assertEqual(availability(street), [f"+{ROMEO}/street", f"+{ROMEO}/orchard"])
        self.assertEqual(availability(orchard), [f"+{ROMEO}/street"])
        orchard.abort()
        self.assertEqual(availability(street), [f"-{ROMEO}/orchard"])

    def test_second_resource(self) -> None:
        """A second resource on the same node is shown whom the first one sees."""
        juliet = self.come("b", "juliet")
        self.come("a", "romeo/orchard")
        juliet.raw()
        street = self.come("a", "romeo/street")
        self.assertEqual(
            availability(street), [f"+{ROMEO}/street", f"+{ROMEO}/orchard", f"+{JULIET}/1"]
        )
        self.assertEqual(availability(juliet), [f"+{ROMEO}/street"])

    def test_comes_again(self) -> None:
        """Who becomes unavailable and available again sees the others again."""
        self.come("b", "juliet")
        romeo = self.come("a", "romeo")
        romeo.send("<presence type='unavailable'/>")
        romeo.raw()
        romeo.send("<presence/>")
        self.assertEqual(availability(romeo), [f"+{ROMEO}/1", f"+{JULIET}/1"])

    def test_last_presence(self) -> None:
        """A contact who is nowhere is shown with the status that was left, on any node."""
        tybalt = self.come("c", "tybalt")
        tybalt.send("<presence type='unavailable'><status>Dead</status></presence>")
        romeo = self.come("a", "romeo")
        self.assertIn("<status>Dead</status>", "".join(romeo.received()))

    def test_directory_away(self) -> None:
        """While the directory is away, a newcomer finds the others by asking all nodes."""
        juliet = self.come("b", "juliet")
        juliet.raw()
        romeo = self.nodes["a"].bind("romeo")
        self.patch(self.nodes["a"].server.cluster.directory, "nodes_of", self.away)
        romeo.send("<presence/>")
        self.assertEqual(availability(romeo), [f"+{ROMEO}/1", f"+{JULIET}/1"])
        self.assertEqual(availability(juliet), [f"+{ROMEO}/1"])

    def test_directory_incomplete(self) -> None:
        """So it is while the directory does not have all sessions again."""
        juliet = self.come("b", "juliet")
        juliet.raw()
        romeo = self.nodes["a"].bind("romeo")
        self.nodes.directory.accounts.clear()
        self.patch(self.nodes["a"].server.cluster.membership, "complete", False)
        romeo.send("<presence/>")
        self.assertEqual(availability(romeo), [f"+{ROMEO}/1", f"+{JULIET}/1"])
        self.assertEqual(availability(juliet), [f"+{ROMEO}/1"])

    async def away(self, accounts: Collection[str]) -> Mapping[str, tuple[Location, ...]]:
        """A directory that cannot be asked."""
        raise DirectoryAway("no answer")

    def test_directed(self) -> None:
        """Directed presence arrives at a full JID and at an account, and is taken back when its
        sender leaves, once.
        """
        stranger = self.come("b", "mercutio/1")
        other = self.come("c", "mercutio/2")
        romeo = self.come("a", "romeo")
        for client in (stranger, other):
            client.raw()
        romeo.send(f"<presence to='{MERCUTIO}/1'/>")
        self.assertEqual(stranger.received(), [f"<presence from='{ROMEO}/1' to='{MERCUTIO}/1'/>"])
        self.assertEqual(other.received(), [])
        romeo.send(f"<presence to='{MERCUTIO}'/>")
        for client in (stranger, other):
            self.assertEqual(client.received(), [f"<presence from='{ROMEO}/1' to='{MERCUTIO}'/>"])
        romeo.abort()
        for client in (stranger, other):
            self.assertEqual(availability(client), [f"-{ROMEO}/1"])

    def test_directed_withdrawn(self) -> None:
        """Who has taken directed presence back has nothing to take back when he leaves."""
        stranger, romeo = self.come("b", "mercutio"), self.come("a", "romeo")
        stranger.raw()
        romeo.send(f"<presence to='{MERCUTIO}/1'/>")
        romeo.send(f"<presence to='{MERCUTIO}/1' type='unavailable'/>")
        self.assertEqual(availability(stranger), [f"+{ROMEO}/1", f"-{ROMEO}/1"])
        romeo.abort()
        self.assertEqual(availability(stranger), [])

    def test_directed_to_a_contact(self) -> None:
        """A contact who was sent directed presence as well hears one goodbye."""
        juliet, romeo = self.come("b", "juliet"), self.come("a", "romeo")
        romeo.send(f"<presence to='{JULIET}/1'><status>Only you</status></presence>")
        juliet.raw()
        romeo.abort()
        self.assertEqual(availability(juliet), [f"-{ROMEO}/1"])

    def test_probe(self) -> None:
        """A probe is answered with all resources that may be seen, on whichever nodes they are."""
        self.come("b", "juliet/balcony")
        self.come("c", "juliet/garden")
        romeo = self.come("a", "romeo")
        romeo.raw()
        romeo.send(f"<presence to='{JULIET}' type='probe'/>")
        self.assertEqual(sorted(availability(romeo)), [f"+{JULIET}/balcony", f"+{JULIET}/garden"])

    def test_probe_of_a_stranger(self) -> None:
        """Who may not see somebody is told so, wherever that one is."""
        self.come("b", "mercutio")
        romeo = self.come("a", "romeo")
        romeo.raw()
        romeo.send(f"<presence to='{MERCUTIO}' type='probe'/>")
        self.assertEqual(
            romeo.received(),
            [f"<presence from='{MERCUTIO}' to='{ROMEO}' type='unsubscribed'/>"],
        )

    def test_from_another_server(self) -> None:
        """Presence from another server reaches all resources, whichever node it comes in at."""
        balcony, garden = self.come("b", "juliet/balcony"), self.come("c", "juliet/garden")
        mantua = Elsewhere(self.nodes["a"])
        for type in ("", " type='unavailable'"):
            balcony.raw()
            garden.raw()
            mantua.send(f"<presence from='paris@mantua.lit/1' to='{JULIET}'{type}/>")
            for client in (balcony, garden):
                self.assertEqual(len(availability(client)), 1)


class PrivacyTests(SynchronousTestCase):
    """Romeo at one node, Juliet with two resources at two others."""

    def setUp(self) -> None:
        self.nodes = Nodes(
            "a",
            "b",
            "c",
            plugins=("privacy_lists", "blocking", "invisible"),
            romeo={"juliet": "both", "nurse": "both"},
            juliet={"romeo": "both"},
            nurse={"romeo": "both"},
        )
        (self.romeo,) = self.nodes["a"].connect("romeo")
        (self.balcony,) = self.nodes["b"].connect("juliet/balcony")
        (self.garden,) = self.nodes["c"].connect("juliet/garden")
        self.everybody = (self.romeo, self.balcony, self.garden)
        self.forget()

    def forget(self) -> None:
        """Look away from what has come."""
        for client in self.everybody:
            client.raw()

    def ask(self, client: Client, query: str) -> None:
        """Ask for something that is stored."""
        client.send(f"<iq type='set' id='p'>{query}</iq>")

    def heard(self) -> list[list[str]]:
        """What each has heard."""
        return [availability(client) for client in self.everybody]

    def test_invisible(self) -> None:
        """Who becomes invisible is seen to leave on every node, and later to come again."""
        self.ask(self.romeo, "<invisible xmlns='urn:xmpp:invisible:1'/>")
        self.assertEqual(self.heard(), [[], [f"-{ROMEO}/1"], [f"-{ROMEO}/1"]])
        self.romeo.send("<presence><show>away</show></presence>")
        self.assertEqual(self.heard()[1:], [[], []])
        self.ask(self.romeo, "<visible xmlns='urn:xmpp:invisible:1'/>")
        self.romeo.send("<presence/>")
        self.assertEqual(self.heard()[1:], [[f"+{ROMEO}/1"], [f"+{ROMEO}/1"]])

    def test_blocked(self) -> None:
        """Who blocks somebody is seen to leave by them, and sees them leave; unblocked, they see
        each other again.
        """
        gone = [f"-{JULIET}/balcony", f"-{JULIET}/garden"]
        self.ask(self.romeo, f"<block xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/></block>")
        mine, *theirs = self.heard()
        self.assertEqual(sorted(mine), gone)
        self.assertEqual(theirs, [[f"-{ROMEO}/1"], [f"-{ROMEO}/1"]])
        self.balcony.send("<presence><show>away</show></presence>")
        self.assertEqual(self.heard()[0], [])
        self.ask(self.romeo, f"<unblock xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/></unblock>")
        mine, *theirs = self.heard()
        self.assertEqual(sorted(mine), [each.replace("-", "+", 1) for each in gone])
        self.assertEqual(theirs, [[f"+{ROMEO}/1"], [f"+{ROMEO}/1"]])

    def test_one_resource(self) -> None:
        """Who hides from one resource is seen by the other."""
        self.ask(
            self.romeo,
            "<query xmlns='jabber:iq:privacy'><list name='shy'>"
            f"<item type='jid' value='{JULIET}/garden' action='deny' order='1'><presence-out/>"
            "</item></list></query>",
        )
        self.ask(self.romeo, "<query xmlns='jabber:iq:privacy'><active name='shy'/></query>")
        self.assertEqual(self.heard(), [[], [], [f"-{ROMEO}/1"]])
        self.romeo.send("<presence><show>away</show></presence>")
        self.assertEqual(self.heard()[1:], [[f"+{ROMEO}/1"], []])
        (garden,) = self.nodes["b"].connect("juliet/garden")
        self.assertNotIn(f"+{ROMEO}/1", availability(garden))
        self.ask(self.romeo, "<query xmlns='jabber:iq:privacy'><active/></query>")
        self.assertEqual(availability(garden), [f"+{ROMEO}/1"])
        self.romeo.abort()
        self.assertEqual(availability(self.balcony)[-1:], [f"-{ROMEO}/1"])

    def test_invisible_newcomer(self) -> None:
        """Who comes invisibly is seen by the own resources alone, and sees the others."""
        street = self.nodes["b"].bind("romeo", "street")
        self.ask(street, "<invisible xmlns='urn:xmpp:invisible:1' probe='true'/>")
        street.send("<presence/>")
        self.assertEqual(self.heard(), [[f"+{ROMEO}/street"], [], []])
        seen = {f"+{ROMEO}/street", f"+{ROMEO}/1", f"+{JULIET}/balcony", f"+{JULIET}/garden"}
        self.assertEqual(set(availability(street)), seen)

    def test_invisible_newcomer_who_does_not_look(self) -> None:
        """Who comes invisibly and does not probe sees nobody at first, and later what they send."""
        street = self.nodes["b"].bind("juliet", "street")
        self.ask(street, "<invisible xmlns='urn:xmpp:invisible:1'/>")
        street.send("<presence/>")
        own = {f"+{JULIET}/street", f"+{JULIET}/balcony", f"+{JULIET}/garden"}
        self.assertEqual(set(availability(street)), own)
        nurse = self.nodes["c"].bind("nurse")
        self.ask(nurse, "<invisible xmlns='urn:xmpp:invisible:1'/>")
        nurse.send("<presence/>")
        self.assertEqual(availability(nurse), [f"+{NURSE}/1"])
        self.romeo.send("<presence><show>away</show></presence>")
        self.assertEqual(availability(street), [f"+{ROMEO}/1"])
        self.assertEqual(availability(nurse), [f"+{ROMEO}/1"])


class LostNodeTests(SynchronousTestCase):
    def setUp(self) -> None:
        people = {"romeo": "both"}
        self.nodes = Nodes("a", "b", "c", romeo={"juliet": "both"}, juliet=people, nurse={})
        (self.juliet,) = self.nodes["b"].connect("juliet")
        (self.nurse,) = self.nodes["b"].connect("nurse")
        (romeo,) = self.nodes["a"].connect("romeo")
        romeo.send("<presence to='nurse@montague.lit/1'/>")
        self.nurse.raw()
        self.nodes.lose("a")
        self.juliet.raw()
        self.grace_s = self.nodes.config.cluster.grace_s

    def later(self, seconds: float) -> list[str]:
        """What Juliet has heard by then."""
        self.nodes.clock.advance(seconds)
        return availability(self.juliet)

    def test_does_not_come_back(self) -> None:
        """After the grace, and not before, people of a lost node are gone, once; those who were
        sent directed presence hear it too (CL-36).
        """
        self.assertEqual(self.later(self.grace_s - 1), [])
        self.assertEqual(self.later(1), [f"-{ROMEO}/1"])
        self.assertEqual(availability(self.nurse), [f"-{ROMEO}/1"])
        self.assertEqual(self.later(self.grace_s), [])

    def test_comes_back(self) -> None:
        """Who is back by then has not been away."""
        self.nodes["c"].connect("romeo")
        self.assertEqual(self.later(0), [f"+{ROMEO}/1"])
        self.assertEqual(self.later(self.grace_s), [])

    def test_comes_back_otherwise(self) -> None:
        """Who is back under another resource is seen to leave under the old one, once."""
        self.nodes["c"].connect("romeo/2")
        self.assertEqual(self.later(0), [f"+{ROMEO}/2"])
        self.assertEqual(self.later(self.grace_s), [f"-{ROMEO}/1"])

    def test_comes_back_here(self) -> None:
        """Also at the node of those who see him."""
        self.nodes["b"].connect("romeo")
        self.assertEqual(self.later(0), [f"+{ROMEO}/1"])
        self.assertEqual(self.later(self.grace_s), [])

    def test_nothing_left(self) -> None:
        """Nothing of the lost node is kept."""
        table = self.nodes["b"].server.routing_table
        self.assertEqual(table.elsewhere, {})
        self.assertEqual(table.interest.known_at, {})
        self.later(self.grace_s)
        self.assertEqual(self.juliet.session.seen, {})


class RestartTests(SynchronousTestCase):
    def setUp(self) -> None:
        both = {"romeo": "both", "juliet": "both"}
        self.nodes = Nodes("a", "b", config=saving_config(), romeo=both, juliet=both)
        (self.juliet,) = self.nodes["b"].connect("juliet")
        (romeo,) = self.nodes["a"].connect("romeo")
        self.previd = romeo.enable()
        self.nodes.stop("a")
        self.juliet.raw()
        self.grace_s = self.nodes.config.cluster.grace_s

    def resumed(self) -> Client:
        """Romeo, who has resumed his session at the node that was started again."""
        romeo = self.nodes["a"].logged_in("romeo")
        romeo.resume(self.previd, 0)
        return romeo

    def test_outlives_a_restart(self) -> None:
        """A session that outlives a restart of its node is not seen to leave, and hears of those
        whom it saw before.
        """
        self.nodes.start("a")
        self.nodes.settle()
        romeo = self.resumed()
        romeo.raw()
        self.nodes.clock.advance(self.grace_s)
        heard = availability(self.juliet)
        self.assertNotIn(f"-{ROMEO}/1", heard)
        self.juliet.abort()
        self.assertEqual(availability(romeo), [f"-{JULIET}/1"])

    def test_left_meanwhile(self) -> None:
        """Who was lost while its node was stopped is gone after the grace."""
        self.nodes.lose("b")
        self.nodes.start("a")
        romeo = self.resumed()
        self.assertEqual(availability(romeo), [])
        self.nodes.clock.advance(self.grace_s)
        self.assertEqual(availability(romeo), [f"-{JULIET}/1"])


class ComponentTests(SynchronousTestCase):
    def test_node_lost(self) -> None:
        """A component that was handed directed presence of somebody hears that their node is
        lost.
        """
        config = house_config("montague.lit", component=[{"name": "rooms.lit", "secret": "shhh"}])
        nodes = Nodes("a", "b", config=config, romeo={})
        rooms = nodes["b"].service("rooms.lit", "shhh")
        nodes.settle()
        (romeo,) = nodes["a"].connect("romeo")
        romeo.send("<presence to='hall@rooms.lit/romeo'/>")
        self.assertIn("/1'", "".join(rooms.received()))
        nodes.lose("a")
        nodes.clock.advance(nodes.config.cluster.grace_s)
        (gone,) = rooms.received()
        self.assertIn("type='unavailable'", gone)


class SharedGroupTests(SynchronousTestCase):
    def test_newcomer(self) -> None:
        """A newcomer is shown to those who see him by a shared group, on any node."""
        house = SharedGroup("house", "House", ("nurse@montague.lit",))
        for staff in (
            SharedGroup("staff", "Staff", (ROMEO,), groups=("house",)),
            SharedGroup("staff", "Staff", (ROMEO,), visible_to="everybody"),
        ):
            with self.subTest(visible_to=staff.visible_to):
                nodes = Nodes("a", "b", romeo={}, nurse={})
                for group in (house, staff):
                    changes = nodes["a"].server.shared_group_changes
                    saving = Deferred.fromCoroutine(changes.save(group))
                    nodes.settle()
                    self.successResultOf(saving)
                (nurse,) = nodes["b"].connect("nurse")
                (romeo,) = nodes["a"].connect("romeo")
                self.assertEqual(availability(nurse), [f"+{ROMEO}/1"])
                romeo.send("<presence><show>away</show></presence>")
                romeo.abort()
                self.assertEqual(availability(nurse), [f"+{ROMEO}/1", f"-{ROMEO}/1"])
