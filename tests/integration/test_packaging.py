"""What a machine starts the server with: units for systemd, and an image."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import PATIENCE_S, ROOT, XMPPD, ProcessCase, environment
from tests.ports import free_port

CONTAINERFILE = ROOT / "Containerfile"
UNITS = ("xmppd.service", "xmppd@.service")
EXPOSED = 2.1


def ended(*command: str) -> str:
    """What a program says, whichever way it ends."""
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.stdout


class UnitTests(SynchronousTestCase):
    """The units, as systemd reads them."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir()
        for unit in UNITS:
            text = (ROOT / "etc" / unit).read_text(encoding="utf-8")
            # Nothing is installed where the unit expects it.
            text = text.replace("/opt/xmppd/bin/twistd", sys.executable)
            (self.directory / unit).write_text(text, encoding="utf-8")

    def test_verified(self) -> None:
        """It has nothing to complain about."""
        for unit in UNITS:
            with self.subTest(unit):
                self.assertEqual(ended("systemd-analyze", "verify", str(self.directory / unit)), "")

    def test_exposed(self) -> None:
        """They leave little of the machine to whoever takes the server over."""
        for unit in UNITS:
            with self.subTest(unit):
                said = ended(
                    "systemd-analyze", "security", "--offline=true", str(self.directory / unit)
                )
                exposed = re.search(r"exposure level for \S+: ([0-9.]+)", said)
                assert exposed is not None, said
                self.assertLessEqual(float(exposed[1]), EXPOSED)


class ImageTests(ProcessCase):
    """The image, as far as it can be tried without making one."""

    def test_linted(self) -> None:
        """Those who know how such files go wrong find nothing in ours."""
        hadolint = Path(sys.executable).with_name("hadolint")
        self.assertEqual(ended(str(hadolint), str(CONTAINERFILE)), "")

    def test_first_start(self) -> None:
        """The first start sets a server up by variables, and is healthy; the next one finds it."""
        programs = self.directory / "bin"
        programs.mkdir()
        (programs / "xmppd").write_text(
            f'#!/bin/sh\nexec {shlex.join(XMPPD)} "$@"\n', encoding="utf-8"
        )
        (programs / "xmppd").chmod(0o755)
        health = free_port()
        variables = {
            "XMPPD_BIN": str(programs),
            "XMPPD_HOME": str(self.directory / "home"),
            "XMPPD_DOMAIN": "localhost",  # whose address needs no DNS
            "XMPPD_CERTIFICATE": "self-signed",
            "XMPPD_DOORS": f"clients:{free_port()} metrics:{health}",
        }
        for time in ("first", "second"):
            with mock.patch.dict(os.environ, variables):
                process = self.start(str(ROOT / "etc" / "container.sh"))
            self.assertEqual("made the account" in self.text(), time == "first")
            self.assertEqual(self.health(health), 0)
            self.end(process)
        self.assertNotEqual(self.health(health), 0)

    def health(self, port: int) -> int:
        """How the image's check ends."""
        found = re.search(r'CMD \["/opt/xmppd/bin/python", "-c", "(.+)"\]', self.containerfile())
        assert found is not None
        code = found[1].replace(":8080/", f":{port}/")
        return subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **environment()},
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE_S,
            check=False,
        ).returncode

    def containerfile(self) -> str:
        return CONTAINERFILE.read_text(encoding="utf-8")


__all__ = ["ImageTests", "UnitTests"]
