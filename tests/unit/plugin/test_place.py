"""The table of places: each kind of part has one, and stands in the guide."""

import re
from pathlib import Path
from typing import get_args, get_origin

from twisted.trial.unittest import SynchronousTestCase

from xmppd.plugin.place import Part, Places
from xmppd.testing.client import done
from xmppd.testing.house import House

GUIDE = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text(encoding="utf-8")
KINDS: set[type] = {get_origin(kind) or kind for kind in get_args(Part)}


class PlacesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.places: Places = House().plugins._places

    def test_every_kind(self) -> None:
        """Each kind of part has a place, and nothing else has."""
        self.assertEqual(set(self.places.table), KINDS)

    def test_guide(self) -> None:
        """The guide tells of each kind of part, with an example."""
        told = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##)", GUIDE, re.MULTILINE | re.DOTALL))
        for kind in KINDS:
            with self.subTest(kind.__name__):
                self.assertIn("```python\n", told.get(kind.__name__, ""))

    def test_no_part(self) -> None:
        """What is no part has no place."""
        nothing = self.places.put("no part", "lark")  # type: ignore[arg-type]  # on purpose
        self.assertRaises(TypeError, done, nothing)
