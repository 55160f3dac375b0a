"""What is of no account, such as rooms, moves with a whole server."""

from pathlib import Path

from tests.plugins.muc.halls import SERVICE, rooms_config
from tests.unit.migration.movers import MovingCase, give
from xmppd.testing.house import House

COVEN, ORCHARD = f"coven@{SERVICE}", f"orchard@{SERVICE}"
MEMBER = "juliet@montague.lit"


def sentences(house: House, name: str, **given: object) -> list[str]:
    """What a command says."""
    return [str(reply) for reply in give(house, name, **given) if isinstance(reply, str)]


class RoomsTests(MovingCase):
    def setUp(self) -> None:
        super().setUp()
        self.before = House(config=rooms_config(), plugins=("disco", "muc"))
        for room in (COVEN, ORCHARD):
            give(self.before, "room create", room=room, owner="romeo@montague.lit")
        give(self.before, "room affiliation", room=COVEN, person=MEMBER, affiliation="member")
        self.house = House(config=rooms_config(), plugins=("disco", "muc"))

    def leave(self, **given: object) -> Path:
        """Export; the directory."""
        directory = self.directory / "out"
        give(self.before, "export", format="xep0227", directory=str(directory), **given)
        return directory

    def test_round_trip(self) -> None:
        """An empty server has the same rooms, and writes the same file."""
        first = self.leave()
        said = self.told(first, "xep0227")
        self.assertIn("imported 2 lines of rooms.jsonl", said)
        again = self.directory / "again"
        give(self.house, "export", format="xep0227", directory=str(again))
        written, mode = (first / "rooms.jsonl"), 0o600
        self.assertEqual(written.read_bytes(), (again / "rooms.jsonl").read_bytes())
        self.assertEqual(written.stat().st_mode & 0o777, mode)
        self.assertIn(MEMBER.encode(), written.read_bytes())

    def test_damaged(self) -> None:
        """A line that is no room is named, and the others are made; again is harmless."""
        out = self.leave()
        file = out / "rooms.jsonl"
        file.write_bytes(b"{\n" + file.read_bytes())
        said = self.told(out, "xep0227")
        self.assertIn("not imported: rooms.jsonl, line 1: ", said[0])
        self.assertEqual(said[1], "imported 2 lines of rooms.jsonl")
        said = self.told(out, "xep0227")
        self.assertIn("line 2: ", said[1])
        self.assertIn("already", said[1])

    def test_not_wanted(self) -> None:
        """Who takes some people, or other names, takes no rooms; and a dry run makes none."""
        out = self.leave()
        told = self.told(out, "xep0227", dry_run=True)
        self.assertIn("would import 2 lines of rooms.jsonl", told)
        told = self.told(out, "xep0227", only=["romeo@montague.lit"])
        self.assertEqual([line for line in told if "rooms" in line], [])
        told = self.told(out, "xep0227", domain=["old.lit=montague.lit"])
        self.assertIn("not imported: rooms.jsonl, in which domains cannot be renamed", told)
        self.assertEqual(sentences(self.house, "room export"), [])

    def test_some_accounts(self) -> None:
        """An export of some accounts has no rooms."""
        self.before.add("romeo")
        out = self.leave(account=["romeo@montague.lit"])
        self.assertFalse((out / "rooms.jsonl").exists())
