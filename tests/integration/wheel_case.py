"""Servers that are installed from a wheel, as an administrator would."""

import os
import subprocess
import sys
from pathlib import Path
from shutil import copyfile, copytree, ignore_patterns
from sysconfig import get_path

from tests.integration.processes import PATIENCE_S, ROOT, ProcessCase

COMPILING_S = 600.0
"""The time that a C compiler may take on a busy machine."""


class WheelCase(ProcessCase):
    """An environment beside the checkout.

    Attributes:
        home: Where its programs are, in ``bin``.
    """

    home: Path

    def install_ours(self, *, compiled: bool = False) -> None:
        """Make an environment that has what we depend on, and our wheel."""
        source, self.home = self.directory / "source", self.directory / "home"
        source.mkdir()
        for name in ("xmppd", "plugins", "twisted", "etc"):
            copytree(ROOT / name, source / name, ignore=ignore_patterns("__pycache__", "*.so"))
        for name in ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE"):
            copyfile(ROOT / name, source / name)
        (source / "xmppd_plugins").symlink_to("plugins")
        self.good([sys.executable, "-m", "venv", "--without-pip", str(self.home)])
        self.install(source, XMPPD_COMPILED="1" if compiled else "")
        (self.packages / "what-we-depend-on.pth").write_text(get_path("purelib"))

    @property
    def packages(self) -> Path:
        """The directory where packages are."""
        return next((self.home / "lib").glob("python*/site-packages"))

    def install(self, source: Path, **environ: str) -> None:
        """Make a wheel, and install that."""
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        wheels = self.directory / f"{source.name}-wheels"
        self.good(
            [*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(source)],
            timeout_s=COMPILING_S,
            **environ,
        )
        (wheel,) = wheels.glob("*.whl")
        python = str(self.home / "bin" / "python")
        self.good([*pip, "--python", python, "install", "--no-deps", str(wheel)])

    def good(
        self, command: list[str], *, timeout_s: float = PATIENCE_S, **environ: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program without the checkout on its path; all goes well."""
        ended = subprocess.run(
            command,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            env={**os.environ, "PYTHONPATH": "", **environ},
            check=False,
        )
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        return ended
