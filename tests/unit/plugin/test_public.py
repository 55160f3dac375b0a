"""docs/public.md: what is promised to authors is there, and is all that they are told to use."""

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import get_args, get_origin

from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.section import Section
from xmppd.plugin.place import Part
from xmppd.plugin.public import TOPICS, line_of, names_of
from xmppd.testing.house import House

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
PUBLIC = {(module, name) for topic in TOPICS for module, name, _ in names_of(topic)}
EXAMPLES = (
    "plugins/example_*.py",
    "plugins/guestbook/*.py",
    "xmppd/plugin/distribution/*.in",
)
BY_NAME = {topic.title: topic for topic in TOPICS}


def imported(code: str) -> Iterator[tuple[str, str]]:
    """The names that somebody imports from xmppd, with their modules."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "xmppd":
            for alias in node.names:
                yield node.module or "", alias.name


class PublicTests(SynchronousTestCase):
    def test_there(self) -> None:
        """Each name is there, with the members that are promised, and a sentence says what for."""
        for topic in TOPICS:
            for module, name, members in names_of(topic):
                with self.subTest(f"{module}.{name}"):
                    self.assertTrue(line_of(module, name))
                    value = getattr(import_module(module), name)
                    for member in members:
                        kept = hasattr(value, member) or f"self.{member} " in inspect.getsource(
                            value
                        )
                        self.assertTrue(kept or member in inspect.get_annotations(value), member)

    def test_once(self) -> None:
        """No name stands twice in a topic."""
        for topic in TOPICS:
            names = [(module, name) for module, name, _ in names_of(topic)]
            self.assertEqual(len(names), len(set(names)))

    def test_parts(self) -> None:
        """Each kind of part is there."""
        kinds = {get_origin(kind) or kind for kind in get_args(Part)}
        self.assertLessEqual({(kind.__module__, kind.__name__) for kind in kinds}, PUBLIC)

    def test_stages(self) -> None:
        """What `plug` may ask for is handed to it."""
        handed = House().server.stages
        for module, name, _ in names_of(BY_NAME["What `plug` may ask for"]):
            kind = getattr(import_module(module), name)
            self.assertTrue(kind in handed or issubclass(kind, Section), name)

    def test_events(self) -> None:
        """The events are those of the guide, which has all."""
        table = GUIDE.partition("These are all:")[2].partition("\n### ")[0]
        told = set(re.findall(r"^\| \{class\}`~([\w.]+)\.(\w+)`", table, re.MULTILINE))
        self.assertEqual({(module, name) for module, name, _ in names_of(BY_NAME["Events"])}, told)

    def test_examples(self) -> None:
        """The guide, the examples and the beginning of a plugin use nothing else."""
        codes = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
        for pattern in EXAMPLES:
            files = [path for path in ROOT.glob(pattern) if ".py" in path.suffixes]
            self.assertTrue(files, pattern)
            for path in files:
                codes.append(re.sub(r"\$\{(\w+)\}", r"\1", path.read_text(encoding="utf-8")))
        used = {each for code in codes for each in imported(code)}
        self.assertGreater(len(used), 50)
        foreign = {(module, name) for module, name in used if module == "xmppd.store.sql"}
        self.assertEqual(sorted(used - foreign - PUBLIC), [])
