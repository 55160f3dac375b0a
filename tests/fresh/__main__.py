"""The set-up page, from top to bottom, on a machine with nothing but Debian: until a client is in.

It needs root, and the network: packages of Debian and of Python are fetched as anybody would.
"""

import signal
import subprocess
import sys
import time
from resource import RLIMIT_NOFILE, getrlimit

from tests.fresh import terminal
from tests.fresh.machine import ROOT, FreshMachine
from tests.fresh.page import Commands, steps
from xmppd.testing.signing_authority import SigningAuthority

DOMAIN, ACCOUNT, PASSWORD = "example.org", "romeo@example.org", "a rose by any other name"
LIVE = f"/etc/letsencrypt/live/{DOMAIN}"
FILES = 65_536
"""That the unit asks for; a systemd that may not raise its own limit gives that."""

RELOAD_S = 10.0
UNIT = "/etc/systemd/system/xmppd.service"


def certify(machine: FreshMachine) -> None:
    """Certbot has been there."""
    certificate, key = SigningAuthority(machine.work).issue(DOMAIN, days=80)
    machine.write(f"{LIVE}/fullchain.pem", certificate.read_bytes())
    machine.write(f"{LIVE}/privkey.pem", key.read_bytes())


def follow(machine: FreshMachine) -> str:
    """Do what the page says; returns what was printed."""
    printed = ""
    for step in steps():
        if isinstance(step, Commands):
            say(f"$ {step.text.strip()}")
            outside = "apt-get" in step.text
            command = machine.command("sh", "-exc", step.text, outside=outside)
            printed = terminal.run(command, PASSWORD)
        else:
            say(f"writing {step.path}")
            machine.write(step.path, step.text.encode())
    return printed


def check(machine: FreshMachine, printed: str) -> None:
    """It runs as the unit says, whoever starts the machine, and a client is in."""

    def told(*command: str) -> str:
        found = subprocess.run(
            machine.command(*command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return found.stdout.strip()

    pid = told("systemctl", "show", "--value", "--property=MainPID", "xmppd")
    for wanted, command in (
        ("", f"systemd-analyze verify {UNIT}"),
        ("enabled", "systemctl is-enabled xmppd"),
        ("xmppd", f"stat -c %U /proc/{pid}"),
        ("xmppd 700", "stat -c '%U %a' /var/lib/xmppd"),
        ("", f"test /proc/{pid}/cwd -ef /var/lib/xmppd || echo elsewhere"),
        ("0077", f"sed -n 's/Umask:.//p' /proc/{pid}/status"),
    ):
        found = told("sh", "-c", command)
        assert found == wanted, f"{command}: {found}"
    limit = told("sh", "-c", f"sed -n 's/Max open files *//p' /proc/{pid}/limits | cut -d' ' -f1")
    assert int(limit) in (FILES, getrlimit(RLIMIT_NOFILE)[1]), limit
    assert "all is well" in printed, "status says so"
    reload = told("systemctl", "reload", "xmppd")
    assert not reload, reload
    until = time.monotonic() + RELOAD_S
    while "reloaded the configuration" not in told("journalctl", "--unit=xmppd"):
        assert time.monotonic() < until, "it was not told to reload"
        time.sleep(0.2)
    visitor = [sys.executable, "-m", "tests.fresh.visitor", ACCOUNT, PASSWORD]
    subprocess.run(machine.visited(*visitor), cwd=ROOT, check=True)


def say(line: str) -> None:
    """Print it, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """All of it."""
    began = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left
    with FreshMachine() as machine:
        certify(machine)
        check(machine, follow(machine))
    say(f"ok: the page was followed to its end in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
