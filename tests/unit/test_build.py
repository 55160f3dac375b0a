"""Which build runs, and how the pure one is had although there is a compiled one."""

import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from xmppd.build import build, compiled

ROOT = Path(__file__).parents[2]
BROKEN = b"not what any machine runs"


class BuildTests(SynchronousTestCase):
    """xmppd.build."""

    def test_reported(self) -> None:
        """A build is compiled if a module of ours is."""
        before = compiled()
        for name, file in (("xmppd.one", "/x/one.so"), ("xmppd.two", "/x/two.py"), ("a", "a.so")):
            module = ModuleType(name)
            module.__file__ = file
            self.patch(sys, "modules", {**sys.modules, name: module})
        self.assertEqual(compiled(), sorted([*before, "xmppd.one"]))
        self.assertEqual(build(), "compiled")

    def test_pure(self) -> None:
        """Neither modules without a file nor those of others make a build compiled."""
        others = {name: module for name, module in sys.modules.items() if name[:6] != "xmppd."}
        self.patch(sys, "modules", {**others, "xmppd.stanza": ModuleType("xmppd.stanza")})
        self.assertEqual(build(), "pure")


class EnvironmentTests(SynchronousTestCase):
    """XMPPD_PURE."""

    def imported(self, name: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """A process that imports a module, beside whose source lies a compiled form that is
        broken.
        """
        directory = Path(self.enterContext(TemporaryDirectory()))
        for package in (directory / "xmppd" / "inner", directory / "xmppd_plugins"):
            package.mkdir(parents=True)
            package.joinpath("__init__.py").touch()
            package.joinpath("module.py").touch()
            package.joinpath(f"module{EXTENSION_SUFFIXES[0]}").write_bytes(BROKEN)
        for file in ("__init__.py", "build.py"):
            copy(ROOT / "xmppd" / file, directory / "xmppd" / file)
        code = f"import sys; sys.path.insert(0, {str(directory)!r}); import xmppd, {name}"
        alone = [sys.executable, "-S", "-B", "-c", code]
        return subprocess.run(alone, capture_output=True, text=True, env=environment, check=False)

    def test_source(self) -> None:
        """It has the source imported."""
        self.assertEqual(self.imported("xmppd.inner.module", XMPPD_PURE="1").stderr, "")

    def test_as_usual(self) -> None:
        """Without it, or if it is empty, Python imports the compiled form."""
        for environment in ({}, {"XMPPD_PURE": ""}):
            said = self.imported("xmppd.inner.module", **environment).stderr
            self.assertIn("ImportError", said)

    def test_others(self) -> None:
        """What is not of the server is imported as usual."""
        said = self.imported("xmppd_plugins.module", XMPPD_PURE="1").stderr
        self.assertIn("ImportError", said)
