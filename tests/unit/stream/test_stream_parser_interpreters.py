"""Each Python on this machine hears the same."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from shutil import which

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[3]
TIMEOUT_S = 60


def candidates() -> Iterator[str]:
    """Where a Python may be: ours, the system's, those on the path and pyenv's."""
    yield sys.executable
    yield "/usr/bin/python3"
    for minor in range(11, 20):
        found = which(f"python3.{minor}")
        if found is not None:
            yield found
    for path in sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python")):
        yield str(path)


def version(python: str) -> tuple[int, ...] | None:
    """Which Python this is, if it runs at all."""
    try:
        shown = subprocess.run(
            [python, "-V"], capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"(\d+)\.(\d+)\.(\d+)", shown)
    return found and tuple(map(int, found.groups()))


def interpreters() -> dict[tuple[int, ...], str]:
    """One Python of each version that we support, by version."""
    found: dict[tuple[int, ...], str] = {}
    for python in candidates():
        number = version(python)
        if number is not None and number >= (3, 11):
            found.setdefault(number, python)
    return found


def check(python: str) -> subprocess.CompletedProcess[str]:
    """Run the cases there."""
    return subprocess.run(
        [python, "-B", "-m", "tests.unit.stream.stream_check"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


class InterpreterTests(SynchronousTestCase):
    def test_every_python(self) -> None:
        """All the streams of stream_cases are heard alike by every Python found here."""
        found = interpreters()
        self.assertIn(sys.version_info[:3], found)
        with ThreadPoolExecutor(max_workers=2) as pool:
            runs = list(pool.map(check, found.values()))
        ran = []
        for python, run in zip(found.values(), runs, strict=True):
            with self.subTest(python):
                self.assertEqual(run.returncode, 0, run.stderr)
                report = json.loads(run.stdout)
                ran.append(f"{report['python']} with {report['expat']}")
                self.assertEqual(report["broken"], [])
                self.assertGreater(report["cases"], 100)
        self.assertEqual(len(ran), len(found))
        sys.stdout.write(f"({', '.join(ran)}) ")
