"""Several connections of one component: whose is a stanza, and what if one is lost?"""

import re
from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.components.test_component_stream import ECHO, SECRET, component_house
from xmppd.components.component_route import MAX_ASKED
from xmppd.stanza import IQ, JID, Message
from xmppd.testing.client import ComponentClient


def ids(service: ComponentClient) -> list[str]:
    """What the stanzas are called that a connection has got."""
    return [re.findall(r" id='([^']*)'", stanza)[0] for stanza in service.received()]


class SeveralTests(SynchronousTestCase):
    """A component with three connections (CO-5, CO-6)."""

    def setUp(self) -> None:
        self.house = component_house(max_connections=3)
        self.route = self.house.server.components.routes[ECHO]
        self.services = [self.house.service(ECHO, SECRET) for _ in range(3)]

    def say(self, peer: str, id: str, to: str = ECHO) -> None:
        """Somebody sends the component a message."""
        message = Message.make(JID.parse(to), JID.parse(peer), id=id)
        self.house.server.routing_table.route(message)

    def test_all_take_part(self) -> None:
        """Peers are spread over all connections, about evenly."""
        for number in range(300):
            self.say(f"p{number}@montague.lit", str(number))
        shares = [len(ids(service)) for service in self.services]
        self.assertEqual(sum(shares), 300)
        self.assertGreater(min(shares), 50)

    def test_in_order(self) -> None:
        """What one peer says, from whatever resource and to whomever, stays in order."""
        for number in range(30):
            self.say(f"romeo@montague.lit/{number % 3}", str(number), f"{number % 2}@{ECHO}")
        found = [ids(service) for service in self.services]
        self.assertIn([str(number) for number in range(30)], found)

    def test_only_the_lost_ones_move(self) -> None:
        """When a connection is lost, the peers of the others stay where they are."""
        owners = self.owners(self.services)
        lost = self.services.pop(1)
        lost.abort()
        after = self.owners(self.services)
        for peer, owner in owners.items():
            if owner is not lost:
                self.assertIs(after[peer], owner)
        self.assertEqual(len(Counter(after.values())), 2)

    def owners(self, services: list[ComponentClient]) -> dict[str, ComponentClient]:
        for number in range(60):
            self.say(f"p{number}@montague.lit", f"p{number}")
        return {peer: service for service in services for peer in ids(service)}

    def test_unread_moves(self) -> None:
        """What a lost connection had not read goes to the others, in order, presence too."""
        for service in self.services[1:]:
            service.abort()
        self.services[0].stop_reading()
        (romeo,) = self.house.connect("romeo")
        for number in range(5):
            romeo.send(f"<message to='{ECHO}' id='{number}'/>")
        romeo.send(f"<presence to='{ECHO}' id='p'/>")
        self.services[1] = self.house.service(ECHO, SECRET)
        self.services[0].abort()
        self.assertEqual(ids(self.services[1]), ["0", "1", "2", "3", "4", "p"])
        self.assertEqual(romeo.received(), [])

    def test_answers(self) -> None:
        """An answer goes to the connection that asked, wherever its peer belongs."""
        (romeo,) = self.house.connect("romeo")
        for number, service in enumerate(self.services):
            service.send(
                f"<iq from='{ECHO}' to='montague.lit' type='get' id='server{number}'>"
                "<ping xmlns='urn:xmpp:ping'/></iq>"
                f"<iq from='{ECHO}' to='romeo@montague.lit/1' type='get' id='romeo{number}'>"
                "<ping xmlns='urn:xmpp:ping'/></iq>"
            )
            romeo.send(f"<iq to='{ECHO}' type='result' id='romeo{number}'/>")
        for number, service in enumerate(self.services):
            self.assertEqual(ids(service), [f"server{number}", f"romeo{number}"])

    def test_asker_is_gone(self) -> None:
        """An answer to a connection that is gone goes to another one."""
        self.services[0].send(
            f"<iq from='{ECHO}' to='nobody@montague.lit/1' type='get' id='q'><x xmlns='u'/></iq>"
        )
        self.assertEqual(ids(self.services[0]), ["q"])
        session = self.route.sessions[0]
        answer = IQ.make(JID.parse(ECHO), JID.parse("romeo@montague.lit/1"), id="a", type="result")
        self.route.asked(session, IQ.make(answer.sender, JID.parse(ECHO), id="a", type="get"))
        self.services[0].abort()
        self.house.server.routing_table.route(answer)
        self.assertEqual(sorted(ids(self.services[1]) + ids(self.services[2])), ["a"])

    def test_questions_are_bounded(self) -> None:
        """Only so many questions are remembered."""
        session, to = self.route.sessions[0], JID.parse("romeo@montague.lit/1")
        for number in range(MAX_ASKED + 10):
            self.route.asked(session, IQ.make(to, JID.parse(ECHO), id=str(number), type="get"))
        self.assertEqual(len(self.route._asked), MAX_ASKED)

    def test_all_gone(self) -> None:
        """When the last connection is lost, the component is away."""
        for service in self.services:
            self.assertNotIn(ECHO, self.house.server.routing_table.away)
            service.abort()
        self.assertIn(ECHO, self.house.server.routing_table.away)

    def test_all_too_slow(self) -> None:
        """If one after the other is given up, what waited comes back once."""
        (romeo,) = self.house.connect("romeo")
        for service in self.services:
            service.stop_reading()
        body = "x" * 200_000
        sent = self.house.server.config.stream.max_queued_bytes // 200_000 + 1
        for number in range(sent):
            romeo.send(f"<message to='{ECHO}' id='{number}'><body>{body}</body></message>")
        self.assertEqual([service.closed for service in self.services], [True] * 3)
        found = [re.findall(r" id='(\d+)'", answer)[0] for answer in romeo.received()]
        self.assertEqual(found, [str(number) for number in range(sent)])
