"""What an author, or whoever names a plugin, reads of a mistake."""

import sys
from pathlib import Path
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

from xmppd.plugin.plugin_error import PluginError
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config

PLUG = "def plug():\n    return []\n"

# What stands in the file, and what is said of it behind the plugin's name; FILE is its path.
MISTAKES: tuple[tuple[str, str], ...] = (
    (
        "def plug(:\n    return []\n",
        (
            "cannot be loaded: SyntaxError in line 1 of FILE: invalid syntax\n"
            "    def plug(:\n"
            "             ^"
        ),
    ),
    (
        f"from xmppd.handler.iq_handlers import IQHandler\n{PLUG}",
        (
            "cannot be loaded: ModuleNotFoundError in line 1 of FILE: "
            "No module named 'xmppd.handler.iq_handlers' "
            '(did you mean "xmppd.handler.iq_handler"?)\n'
            "    from xmppd.handler.iq_handlers import IQHandler\n"
            "    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"
        ),
    ),
    (
        f"import montague\n{PLUG}",
        (
            "cannot be loaded: ModuleNotFoundError in line 1 of FILE: No module named "
            f"'montague'; install the package that has it, with {sys.prefix}/bin/python -m pip "
            "install\n    import montague\n    ^^^^^^^^^^^^^^^"
        ),
    ),
    (
        f"from xmppd_local.shelf import Shelf\n{PLUG}",
        (
            "cannot be loaded: ModuleNotFoundError in line 1 of FILE: No module named "
            "'xmppd_local.shelf'; plugins.directory has no such file\n    from xmppd_local.shelf "
            "import Shelf\n    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"
        ),
    ),
    (
        f"from xmppd.stanza import Messages\n{PLUG}",
        (
            "cannot be loaded: ImportError in line 1 of FILE: cannot import name 'Messages' from "
            "'xmppd.stanza' (STANZA) (did you mean \"Message\"?)\n"
            "    from xmppd.stanza import Messages\n"
            "    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"
        ),
    ),
    (
        "def plug():\n    return [IQHandler()]\n",
        (
            "cannot be loaded: NameError in line 2 of FILE: name 'IQHandler' is not defined; "
            "write `from xmppd.handler.iq_handler import IQHandler`\n"
            "    return [IQHandler()]\n"
            "            ^^^^^^^^^"
        ),
    ),
    (
        "class Day:\n    name = 'Tag'\n\ndef plug():\n    é = Day().names\n    return []\n",
        (
            "cannot be loaded: AttributeError in line 5 of FILE: 'Day' object has no attribute "
            "'names' (did you mean \"name\"?)\n"
            "    é = Day().names\n"
            "        ^^^^^^^^^^^"
        ),
    ),
    (
        "def plug():\n    return ['day']\n",
        (
            "cannot be loaded: TypeError in plug, line 1 of FILE: 'day' is not a part of a "
            "plugin\n    def plug():\n    ^^^^^^^^^^^"
        ),
    ),
    (
        "def plug():\n    pass\n",
        "cannot be loaded: its plug returns NoneType; return a list of parts instead",
    ),
    ("x = 1\n", "has no function plug; write one that returns a list of parts"),
    (
        "def plug(table):\n    return []\n",
        "does not say which class table is; annotate this parameter of its plug",
    ),
    (
        (
            "Table = type('RoutingTables', (), {'__module__': 'xmppd.routing'})\n\n"
            "def plug(table: Table):\n    return []\n"
        ),
        (
            "asks for RoutingTables, but neither the server nor a plugin has it (did you mean "
            '"RoutingTable"?)'
        ),
    ),
)


class MistakesTests(SynchronousTestCase):
    def setUp(self) -> None:
        directory = Path(self.mktemp()).absolute()
        directory.mkdir()
        self.file = directory / "day.py"
        self.house = House(config=house_config("v.lit", plugins={"directory": str(directory)}))

    def said(self, name: str = "day") -> str:
        """What is said when the plugin is loaded."""
        error = self.assertRaises(PluginError, done, self.house.plugins.load(name))
        self.flushLoggedErrors()
        return str(error)

    def test_where(self) -> None:
        """Whoever writes a plugin reads which line fails, what in it does, and what helps."""
        stanza = str(sys.modules["xmppd.stanza"].__file__)
        for code, says in MISTAKES:
            with self.subTest(code):
                self.file.write_text(dedent(code), encoding="utf-8")
                told = says.replace("FILE", str(self.file)).replace("STANZA", stanza)
                self.assertEqual(self.said(), f"plugin day {told}")

    def test_deeper(self) -> None:
        """The line is that of the plugin, also if it is deep in the server that something fails."""
        self.file.write_text("from xmppd.stanza import JID\n\ndef plug():\n    JID.parse('@')\n")
        said = self.said()
        self.assertIn(f"in line 4 of {self.file}: ", said)
        self.assertIn("\n    JID.parse('@')\n    ^^^^^^^^^^^^^^", said)

    def test_names(self) -> None:
        """Whoever names a plugin that there is not reads which one may be meant, and whether there
        can be one.
        """
        for name, says in (
            ("carbon", ' (did you mean "carbons"?)'),
            ("mam", ' (did you mean "archive"?)'),
            ("mix", "; that is not a feature of this version"),
            ("smacks", "; this feature is always on in xmppd"),
            (
                "benvolio",
                (
                    "; correct the name (xmppctl plugin list --all, on a running server, lists all "
                    f"plugins), or put its file into {self.file.parent}"
                ),
            ),
        ):
            self.assertEqual(self.said(name), f"plugin {name} does not exist{says}")
        self.file.write_text(PLUG)
        self.assertIn('(did you mean "day"?)', self.said("days"))
