"""A machine with nothing but Debian's base system, on which systemd runs; it needs root."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from tempfile import mkdtemp
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
SUITE, PACKAGES = "bookworm", "ca-certificates,systemd,systemd-sysv"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "xmppd" / SUITE
CHECKOUT = "/path/to/the/checkout"
"""Where the page says that it is."""

BOOT_S, STOP_S = 60.0, 20.0
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")
INDEX_FILES = ("/etc/pip.conf", "/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt")
"""What this machine itself needs to reach an index of Python packages."""


class FreshMachine:
    """One, from its entering to its leaving; nothing that happens there stays.

    Attributes:
        pid: Of its systemd.
        work: A directory of this machine, which goes with it.
    """

    pid = 0

    def __enter__(self) -> Self:
        if os.geteuid():
            raise PermissionError("a machine of its own needs root")
        base = _base()
        self.work = Path(mkdtemp(prefix="xmppd-fresh-"))
        self._group = self.work.name
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc",
             "--net", "sh", str(ROOT / "tests/fresh/boot.sh"), str(base), str(self.work), CHECKOUT],
            stdin=subprocess.DEVNULL,
            preexec_fn=self._into_a_group,  # noqa: PLW1509  # no other thread runs
        )  # fmt: skip
        try:
            self._await_systemd()
            for name in INDEX_FILES:
                if Path(name).exists():
                    self.write(name, Path(name).read_bytes())
            self._copy_the_checkout()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGKILL)  # and with it all that it has started
        self._process.wait(STOP_S)
        for group in self._groups():
            for directory, _, _ in os.walk(group, topdown=False):
                _removed(Path(directory))
        shutil.rmtree(self.work)

    # -- what is done there ---------------------------------------------------------------------

    def command(self, *command: str, outside: bool = False) -> list[str]:
        """How a program is run there.

        Args:
            command: The program, with its arguments.
            outside: Whether it sees the network of this machine instead of its own.
        """
        spaces = ["--mount", "--pid", "--uts", "--ipc", "--cgroup", *([] if outside else ["--net"])]
        return ["nsenter", f"--target={self.pid}", *spaces, f"--root=/proc/{self.pid}/root",
                f"--wd=/proc/{self.pid}/root{CHECKOUT}", "env", "-i", "HOME=/root",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "DEBIAN_FRONTEND=noninteractive", "PIP_DISABLE_PIP_VERSION_CHECK=1",
                *command]  # fmt: skip

    def visited(self, *command: str) -> list[str]:
        """How a program of this machine is run that sees the network of the other one."""
        return ["nsenter", f"--target={self.pid}", "--net", *command]

    def write(self, path: str, content: bytes) -> None:
        """Write a file there; one that is there keeps its owner and mode."""
        self._run("sh", "-c", f'mkdir -p "$(dirname {path})"; cat > {path}', content)

    def _run(self, *command: str | bytes) -> None:
        *words, content = command
        assert isinstance(content, bytes)
        texts = [word for word in words if isinstance(word, str)]
        subprocess.run(self.command(*texts), input=content, check=True)

    # -- its beginning --------------------------------------------------------------------------

    def _groups(self) -> list[Path]:
        return [Path(each, self._group) for each in CGROUPS if Path(each, "cgroup.procs").exists()]

    def _into_a_group(self) -> None:
        """Have its own part of each hierarchy of control groups, of which it sees no more."""
        for group in self._groups():
            group.mkdir()
            (group / "cgroup.procs").write_text("0", encoding="ascii")

    def _await_systemd(self) -> None:
        until = time.monotonic() + BOOT_S
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        while time.monotonic() < until and self._process.poll() is None:
            found = children.read_text(encoding="ascii").split()
            if found:
                self.pid = int(found[0])
                asked = subprocess.run(
                    self.command("systemctl", "is-system-running"),
                    capture_output=True, text=True, check=False,
                )  # fmt: skip
                if asked.stdout.strip() in ("running", "degraded"):
                    return
            time.sleep(0.2)
        raise AssertionError("systemd does not come up")

    def _copy_the_checkout(self) -> None:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, check=True,
        ).stdout  # fmt: skip
        packed = subprocess.run(
            ["tar", "--create", "--null", "--files-from=-", "--ignore-failed-read"],
            cwd=ROOT, input=listed, capture_output=True, check=True,
        ).stdout  # fmt: skip
        self._run("tar", "--extract", "--no-same-owner", f"--directory={CHECKOUT}", packed)


def _removed(directory: Path) -> None:
    """Remove a control group, as soon as its last process is gone."""
    until = time.monotonic() + STOP_S
    while True:
        try:
            directory.rmdir()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _base() -> Path:
    """Debian's base system, which is fetched once."""
    if not CACHE.exists():
        CACHE.parent.mkdir(parents=True, exist_ok=True)
        made = CACHE.with_name(f"{SUITE}.new")
        shutil.rmtree(made, ignore_errors=True)
        subprocess.run(
            ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(made)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        made.rename(CACHE)
    return CACHE


__all__ = ["CACHE", "CHECKOUT", "FreshMachine"]
