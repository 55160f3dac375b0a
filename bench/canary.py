"""Two users that talk while others make load: the delay that users online notice.

    python -m bench.canary USER USER --port PORT …

Says ``ready`` when both are there, and how long their messages took as soon as its standard input
ends. A process of its own, so that the tool's own load is not measured.
"""

import argparse
import json
import select
import subprocess
import sys
import time
from pathlib import Path

from bench.client import Client, Connections
from bench.meter import Result, percentiles

MESSAGE = b"<message to='%b' type='chat' id='c'><body>tweet</body></message>"
MESSAGE_END = b"</message>"
ROOT = Path(__file__).resolve().parent.parent
EVERY_S = 0.02
LAST_WORDS_S = 5.0


class Canary:
    """The process, as the load tool sees it."""

    def __init__(self, arguments: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.canary", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        assert self._process.stdout is not None
        self._said = self._process.stdout
        self._said.readline()

    def stop(self) -> Result:
        """End it; returns how long the messages took."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        result: Result = json.loads(self._said.readline())
        self._process.wait()
        return result


def sing(connections: Connections, romeo: Client, juliet: Client) -> list[float]:
    """Send messages from one to the other until the input ends; returns how long each took."""
    latencies_s: list[float] = []

    def on_data(data: bytes) -> None:
        data = juliet.tail + data
        juliet.tail = data[data.rfind(b">") + 1 :][-len(MESSAGE_END) :]
        now = time.perf_counter()
        latencies_s.extend(now - romeo.sent_at.popleft() for _ in range(data.count(MESSAGE_END)))

    juliet.on_data = on_data
    message = MESSAGE % juliet.jid
    due = time.perf_counter()
    while not select.select([sys.stdin], [], [], 0)[0]:
        now = time.perf_counter()
        while due <= now:
            romeo.sent_at.append(time.perf_counter())
            romeo.send(message)
            due += EVERY_S
        connections.poll(max(0.0, due - time.perf_counter()))
    connections.serve_until(lambda: not romeo.sent_at, LAST_WORDS_S)
    return latencies_s


def main() -> int:
    """Log in, and sing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("users", nargs=2)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, nargs="+", required=True)
    parser.add_argument("--domain", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--starttls", action="store_true")
    options = parser.parse_args()
    connections = Connections(
        options.host, options.port, options.domain, options.password, starttls=options.starttls
    )
    romeo, juliet = connections.log_in(options.users, 2)
    connections.drain()
    print("ready", flush=True)
    latencies_s = sing(connections, romeo, juliet)
    print(json.dumps(percentiles(latencies_s) | {"messages": len(latencies_s)}), flush=True)
    connections.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
