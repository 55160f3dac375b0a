"""What a machine starts the server with: units for systemd, and an image."""

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.processes import (
    HEADER,
    PATIENCE_S,
    ROOT,
    XMPPD,
    ProcessCase,
    environment,
    twistd,
)
from tests.ports import free_port

CONTAINERFILE = ROOT / "Containerfile"
UNITS = ("xmppd.service", "xmppd@.service")
SOCKETS = "xmppd.socket"
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
        for unit in (*UNITS, SOCKETS):
            text = (ROOT / "etc" / unit).read_text(encoding="utf-8")
            # Nothing is installed where the unit expects it.
            text = text.replace("/opt/xmppd/bin/twistd", sys.executable)
            (self.directory / unit).write_text(text, encoding="utf-8")

    def test_verified(self) -> None:
        """It has nothing to complain about."""
        for unit in (*UNITS, SOCKETS):
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


class SocketTests(ProcessCase):
    """Sockets that systemd has opened."""

    def test_first_client(self) -> None:
        """The first client starts the server, which was not there, and has its answer; others come
        in at the same sockets, each at the one of its number.
        """
        ports = [free_port(), free_port()]
        self.configure(endpoint="systemd:domain=INET:index=0")
        text = self.config.read_text(encoding="utf-8")
        second = text.rindex("index=0")
        text = text[:second] + text[second:].replace("index=0", "index=1").replace(
            "direct", "starttls"
        )
        self.config.write_text(text, encoding="utf-8")
        listening = [word for port in ports for word in ("-l", f"127.0.0.1:{port}")]
        passed = [word for name in environment() for word in ("-E", name)]
        server = twistd("-n", "--pidfile=", "xmppd", "--config", self.config)
        with self.log.open("wb") as output:
            process = subprocess.Popen(
                ["systemd-socket-activate", "--fdname=a:b", *listening, *passed, *server],
                cwd=self.directory,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment()},
            )
        self.addCleanup(self.end, process)
        self.wait_for(lambda: "Listening on" in self.text(), process)
        self.assertNotIn("xmppd is up", self.text())
        for port in ports:
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as client:
                client.sendall(HEADER)
                answer = b""
                while b"</stream:features>" not in answer:
                    got = client.recv(4_096)
                    self.assertTrue(got, answer)
                    answer += got
                self.assertIn(b"<starttls", answer)
        self.assertIn("xmppd is up", self.text())


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
            "XMPPD_LISTENERS": f"clients:{free_port()} metrics:{health}",
        }
        for time in ("first", "second"):
            with mock.patch.dict(os.environ, variables):
                process = self.start(str(ROOT / "etc" / "container.sh"))
            self.assertEqual("created the account" in self.text(), time == "first")
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


__all__ = ["ImageTests", "SocketTests", "UnitTests"]
