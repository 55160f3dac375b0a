"""The image, as far as it can be made without a builder: what the Containerfile copies and runs is
copied and run below a directory, in an empty environment; then the server starts.

It needs the network: packages of npm and of Python are fetched as anybody would.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from tests.ports import free_port

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "Containerfile"
PATIENCE_S = 120.0
OURS = re.compile(r"(?<![\w.-])/(?:opt|var)/[\w./-]*")
"""A path of the image that the image makes itself."""


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Containerfile, each with what follows its name."""
    joined = text.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in lines]


class Image:
    """What the instructions make.

    Args:
        root: Below it; all stages share it, as none has a path of another.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._work = root
        self._context = root / "context"
        self._context.mkdir()
        files = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
        ).stdout.split("\0")
        for file in filter(None, files):
            (self._context / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, self._context / file, follow_symlinks=False)
        self.programs = root / "programs"
        self.programs.mkdir()
        (self.programs / "python").symlink_to(sys._base_executable)  # type: ignore[attr-defined]

    def at(self, path: str) -> Path:
        """Where a path of the image is here."""
        return self.root / path.lstrip("/") if path.startswith("/") else self._work / path

    def follow(self, name: str, text: str) -> None:
        """Do what one instruction says; those that make no files say nothing here."""
        if name == "WORKDIR":
            self._work = self.at(text)
            self._work.mkdir(parents=True, exist_ok=True)
        elif name == "COPY":
            self._copy(text)
        elif name == "RUN":
            self.run(text)

    def _copy(self, text: str) -> None:
        words = shlex.split(text)
        options = [word for word in words if word.startswith("--")]
        *sources, target = words[len(options) :]
        is_ours = any(option.startswith("--from=") for option in options)
        for source in sources:
            found, to = self.at(source) if is_ours else self._context / source, self.at(target)
            if found == to:
                continue  # of another stage
            if found.is_dir():
                shutil.copytree(found, to, symlinks=True, dirs_exist_ok=True)
                continue
            to = to / found.name if target.endswith("/") else to
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, to)
            if "--chmod=755" in options:
                to.chmod(0o755)

    def run(self, text: str) -> None:
        """Run a line of a shell."""
        here = OURS.sub(lambda path: str(self.at(path[0])), text)
        sys.stdout.write(f"$ {text}\n")
        sys.stdout.flush()
        subprocess.run(
            ["sh", "-ec", here],
            cwd=self._work,
            env={"PATH": f"{self.programs}:{os.defpath}", "HOME": str(self.root)},
            check=True,
        )

    def starts(self) -> bool:
        """Whether its entry point sets a server up that is healthy."""
        clients, health = free_port(), free_port()
        process = subprocess.Popen(
            [self.at("/opt/xmppd/container.sh")],
            cwd=self._work,
            env={
                "PATH": os.defpath,
                "XMPPD_BIN": str(self.at("/opt/xmppd/bin")),
                "XMPPD_HOME": str(self.at("/var/lib/xmppd")),
                "XMPPD_DOMAIN": "localhost",
                "XMPPD_CERTIFICATE": "self-signed",
                "XMPPD_LISTENERS": f"clients:{clients} metrics:{health}",
            },
        )
        try:
            until = time.monotonic() + PATIENCE_S
            while process.poll() is None and time.monotonic() < until:
                try:
                    urlopen(f"http://127.0.0.1:{health}/readyz", timeout=4).close()
                    return True
                except URLError:
                    time.sleep(0.5)
            return False
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def main() -> None:
    """Make it, and start it."""
    with TemporaryDirectory(prefix="xmppd-image-", dir="/tmp") as directory:
        image = Image(Path(directory))
        for name, text in instructions(CONTAINERFILE.read_text(encoding="utf-8")):
            image.follow(name, text)
        (static,) = image.at("/opt/xmppd").glob("lib/python3*/site-packages/xmppd/console/static")
        wanted = ("uPlot.iife.min.js", "uPlot.min.css", "uPlot.LICENSE")
        missing = [name for name in wanted if not (static / name).exists()]
        if missing or not image.starts():
            sys.exit(f"the image is not whole: {', '.join(missing) or 'no server starts'}")


if __name__ == "__main__":
    main()
