"""RosterManager: rosters in memory, no more of them than needed."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.roster import roster_manager
from xmppd.testing.client import done
from xmppd.testing.house import House


class MemoryTests(SynchronousTestCase):
    def test_room(self) -> None:
        """Only so many rosters of people who are away are kept; who is here keeps theirs (RO-5)."""
        self.patch(roster_manager, "MAX_UNPINNED", 4)
        house = House(romeo={})
        house.connect("romeo")
        rosters = house.server.roster_manager
        pinned = rosters.loaded("romeo@montague.lit")
        names = [f"guest{number}" for number in range(20)]
        for name in names:
            done(rosters.roster(house.add(name)))
        kept = [name for name in names if rosters.loaded(f"{name}@montague.lit") is not None]
        self.assertLessEqual(len(kept), 6)
        self.assertIn("guest19", kept)
        self.assertIs(rosters.loaded("romeo@montague.lit"), pinned)
