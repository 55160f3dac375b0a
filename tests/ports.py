"""Ports of the loopback interface for servers that keep theirs when they are started again."""

import socket
from pathlib import Path
from random import SystemRandom

HOST = "127.0.0.1"
MAX_TRIES = 1_000

_LOWEST = 10_240
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()


def free_port() -> int:
    """A port that is free, and stays so while its server is not there.

    It is below those that the system chooses itself for connections, and for servers that leave
    the choice to it.

    Raises:
        OSError: There is none.
    """
    highest = int(_RANGE.read_text(encoding="ascii").split()[0])
    for _ in range(MAX_TRIES):
        port = SystemRandom().randrange(_LOWEST, highest)
        if port in _given or not _is_free(port):
            continue
        _given.add(port)
        return port
    raise OSError(f"no port from {_LOWEST} to {highest} was free in {MAX_TRIES} tries")


def _is_free(port: int) -> bool:
    try:
        with socket.create_server((HOST, port)):
            return True
    except OSError:
        return False
