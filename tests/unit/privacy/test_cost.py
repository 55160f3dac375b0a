"""What privacy costs: nothing without a list, and with one nothing per recipient."""

from collections import Counter
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.test_privacy_lists import denied, put, use
from xmppd.privacy.privacy_list import CompiledList
from xmppd.privacy.session_privacy import SessionPrivacy
from xmppd.testing.client import Client
from xmppd.testing.house import House

CONTACTS = [f"c{number}" for number in range(1_000)]
ONLINE = CONTACTS[:50]


class CostTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.calls: Counter[str] = Counter()
        for owner in (CompiledList, SessionPrivacy):
            for name in ("verdict", "lets", "lets_in", "shows_to", "check_out", "_find_audience"):
                if hasattr(owner, name):
                    self.count(owner, name)
        self.house = House(plugins=("privacy_lists",), juliet=dict.fromkeys(CONTACTS, "from"))
        for name in ONLINE:
            self.house.add(name)
        self.juliet, *self.others = self.house.connect("juliet", *ONLINE)

    def count(self, owner: type, name: str) -> None:
        """Count the calls of a method."""
        method = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls[name] += 1
            return method(*args, **kwargs)

        self.patch(owner, name, counted)

    def broadcast(self, client: Client) -> Counter[str]:
        """The calls that a presence causes."""
        self.calls.clear()
        client.send("<presence><show>away</show></presence>")
        return +self.calls

    def heard(self) -> int:
        """How many contacts were told."""
        return sum("away" in "".join(other.received()) for other in self.others)

    def test_no_list(self) -> None:
        """A broadcast to a thousand contacts without any list does no privacy work at all."""
        self.assertEqual(self.broadcast(self.juliet), Counter())
        self.assertEqual(self.heard(), 50)

    def test_list(self) -> None:
        """With a list, who hears it is found once; the next broadcast evaluates nothing."""
        use(self.juliet, denied("presence-out", "type='jid' value='c1@montague.lit'"))
        self.heard()
        self.broadcast(self.juliet)
        self.heard()
        self.assertEqual(self.broadcast(self.juliet), Counter({"lets_in": 1, "lets": 1}))
        self.assertEqual(self.heard(), 49)  # what there is, is her own copy

    def test_changes(self) -> None:
        """A change of the list or the roster is obeyed by the next broadcast."""
        use(self.juliet, denied("presence-out", "type='jid' value='c1@montague.lit'"))
        put(self.juliet, "<list name='l'>" + denied("presence-out") + "</list>")
        self.heard()
        self.broadcast(self.juliet)
        self.assertEqual(self.heard(), 0)
        put(
            self.juliet,
            "<list name='l'>"
            + denied("presence-out", "type='subscription' value='from'")
            + "</list>",
        )
        self.broadcast(self.juliet)
        self.assertEqual(self.heard(), 0)
        self.juliet.send("<presence type='subscribe' to='c2@montague.lit'/>")
        self.others[2].send("<presence type='subscribed' to='juliet@montague.lit'/>")
        self.heard()
        self.broadcast(self.juliet)
        self.assertEqual(self.heard(), 1)
