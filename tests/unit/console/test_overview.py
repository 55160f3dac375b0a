"""What the overview makes of the answers of several nodes."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.console.overview import MAX_ACCOUNTS, ServiceState, by_account
from xmppd.console.shown import Heard


def causes(account: str, broadcasts: int, copies: int) -> dict[str, object]:
    """A row of what an account causes at a node."""
    return {"account": account, "broadcasts": broadcasts, "copies": copies}


class OverviewTests(SynchronousTestCase):
    def test_accounts(self) -> None:
        """An account counts once, whichever nodes it is at; the others are one row, the last."""
        rows = [
            causes("romeo", 1, 10), causes("juliet", 1, 30), causes("(others)", 5, 5),
            causes("romeo", 2, 30), causes("(others)", 7, 25),
        ]  # fmt: skip
        found = [tuple(row.values()) for row in by_account(rows)]
        self.assertEqual(
            found,
            [("romeo", 3, 40, 40.0), ("juliet", 1, 30, 30.0), ("(others)", 12, 30, 30.0)],
        )
        self.assertEqual(by_account([]), [])

    def test_many_accounts(self) -> None:
        """There are no more rows than of one node."""
        rows = [causes(str(number), 1, number) for number in range(MAX_ACCOUNTS + 3)]
        found = by_account(rows)
        self.assertEqual(len(found), MAX_ACCOUNTS + 1)
        self.assertEqual(found[0]["account"], str(MAX_ACCOUNTS + 2))
        self.assertEqual((found[-1]["account"], found[-1]["copies"]), ("(others)", 0 + 1 + 2))

    def test_alone(self) -> None:
        """Of one server its row and its sentences are told; if all is well there are none."""
        row = {"state": "warnings", "since": ""}
        state = ServiceState.of(Heard([row], ["the disk: it is full"]), "")
        self.assertEqual(state, ServiceState(row, "", ["the disk: it is full"], is_trouble=False))
        well = ServiceState.of(Heard([{"state": "well"}], ["all is well"]), "")
        self.assertEqual((well.wrong, well.is_trouble), ([], False))

    def test_nodes(self) -> None:
        """Of several nodes what is wrong at any is told, and what one does not answer."""
        rows = [
            {"node": "b", "state": "well"}, {"node": "a", "state": "trouble"},
            {"node": "c", "state": "warnings"},
        ]  # fmt: skip
        notes = ["b: all is well", "a: no disk", "c: hot", "d did not answer"]
        state = ServiceState.of(Heard(rows, notes), "b")
        self.assertEqual(state, ServiceState(rows[0], "b", notes[1:], is_trouble=True))
