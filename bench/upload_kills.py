"""Kills during uploads: whether a file is lost, is there in part, or takes room for nothing.

    python -m bench.upload_kills [--uploads N] [--kills N] [--seed N]

People upload files of up to 300 kB while the server is killed at random moments, and started again.
Counted in the end are errors: a file that was stored, by the server's word, and is not there whole;
one of which a part is there; a file on the disk that belongs to nobody, and room that an account
has lost to no file. The seed is printed, and chooses what happens, though not to the microsecond.
"""

import argparse
import re
import shutil
import socket
import ssl
import sys
import tempfile
import time
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from random import Random, SystemRandom
from threading import Event, Thread
from urllib.parse import urlsplit

from bench.client import BenchError
from xmppd.stanza import ns
from xmppd.testing.process import ServerProcess

DOMAIN = "localhost"
UPLOAD = "urn:xmpp:http:upload:0"
PASSWORD = "pw"
PEOPLE = ("romeo", "juliet", "nurse", "tybalt")
HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'"
    f" to='{DOMAIN}' version='1.0'>"
)
FEATURES = b"</stream:features>"
MAX_FILE_BYTES = 300_000
LIFE_S = (0.1, 1.5)
"""How long a server lives, once it is up."""

PATIENCE_S = 30.0
START_TIMEOUT_S = 180.0
"""On a machine with much else to do."""

_SLOT = re.compile(rb"<put url='([^']*)'><header name='Authorization'>([^<]*)<")
_ANY = ssl.create_default_context()
_ANY.check_hostname = False
_ANY.verify_mode = ssl.CERT_NONE


@dataclass
class File:
    """A file that somebody has begun to upload.

    Attributes:
        path: Of its URL.
        seed: Of its bytes.
        is_stored: Whether the server has said so.
    """

    path: str
    seed: int
    is_stored: bool = False

    @property
    def content(self) -> bytes:
        """Its bytes."""
        made = Random(self.seed)
        return made.randbytes(made.randrange(1, MAX_FILE_BYTES))


@dataclass
class Uploader:
    """Somebody who uploads one file after another, whatever becomes of the server.

    Attributes:
        files: Those for which there was a slot.
    """

    server: ServerProcess
    name: str
    random: Random
    most: int
    ended: Event
    files: list[File] = field(default_factory=list)

    def run(self) -> None:
        """Upload all."""
        while len(self.files) < self.most and not self.ended.is_set():
            try:
                self._upload()
            except (OSError, HTTPException, EOFError):
                self.ended.wait(0.05)  # it was killed

    def _upload(self) -> None:
        file = File("", self.random.getrandbits(32))
        content = file.content
        file.path, allowed = self._slot(len(content))
        self.files.append(file)
        file.is_stored = ask(self.server, "PUT", file.path, content, allowed)[0] == 201

    def _slot(self, size: int) -> tuple[str, str]:
        """The path of a file's URL, and what allows to upload it."""
        asked = (
            f"<iq type='get' id='u' to='upload.{DOMAIN}'><request xmlns='{UPLOAD}'"
            f" filename='a.bin' size='{size}'/></iq>"
        )
        with connected(self.server.direct_tls_port) as wire:
            log_in(wire, self.name)
            said = answered(wire, asked, b"</iq>")
        found = _SLOT.search(said)
        if found is None:
            raise BenchError(f"there is no slot: {said!r}")
        return urlsplit(found[1].decode()).path, found[2].decode()


def connected(port: int) -> ssl.SSLSocket:
    """A connection under TLS."""
    wire = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    try:
        return _ANY.wrap_socket(wire, server_hostname=DOMAIN)
    except OSError:
        wire.close()
        raise


def answered(wire: ssl.SSLSocket, said: str, end: bytes) -> bytes:
    """What comes up to this, when something was said.

    Raises:
        EOFError: The stream has ended before.
    """
    wire.sendall(said.encode())
    came = b""
    while end not in came:
        more = wire.recv(65_536)
        if not more:
            raise EOFError(came)
        came += more
    return came


def log_in(wire: ssl.SSLSocket, name: str) -> None:
    """Log in, and bind a resource."""
    proof = b64encode(f"\0{name}\0{PASSWORD}".encode()).decode()
    answered(wire, HEADER, FEATURES)
    answered(wire, f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>{proof}</auth>", b"<success")
    answered(wire, HEADER, FEATURES)
    answered(wire, f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq>", b"</iq>")


def ask(
    server: ServerProcess, method: str, path: str, body: bytes = b"", allowed: str = ""
) -> tuple[int, bytes]:
    """The status and body of an answer by HTTPS."""
    connection = HTTPSConnection("127.0.0.1", server.https_port, timeout=PATIENCE_S, context=_ANY)
    try:
        headers = {"Host": f"{DOMAIN}:{server.https_port}"}
        connection.request(
            method, path, body or None, headers | ({"Authorization": allowed} if allowed else {})
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def drill(
    directory: Path, *, uploads: int, kills: int, seed: int
) -> tuple[list[str], Counter[str]]:
    """Kill a server so many times while files are uploaded.

    Args:
        directory: For its files.
        uploads: How many are begun.
        kills: How often it is killed.
        seed: Chooses what happens.

    Returns:
        The errors, and counts.
    """
    most = dict.fromkeys(("max_account_bytes", "max_account_bytes_per_day"), 1 << 40)
    limits = {**most, "max_account_files_per_day": uploads, "max_file_bytes": MAX_FILE_BYTES}
    server = ServerProcess(directory, DOMAIN, http_upload=limits, auth={"scram_iterations": 16})
    server.start_timeout_s = START_TIMEOUT_S
    server.start()
    try:
        for name in PEOPLE:
            server.add_user(name, PASSWORD)
        random, ended = Random(seed), Event()
        uploaders = [
            Uploader(server, name, Random(random.getrandbits(32)), uploads // len(PEOPLE), ended)
            for name in PEOPLE
        ]
        threads = [Thread(target=uploader.run) for uploader in uploaders]
        for thread in threads:
            thread.start()
        killed = 0
        while any(thread.is_alive() for thread in threads):
            time.sleep(random.uniform(*LIFE_S))
            if killed < kills:
                server.kill()
                killed += 1
                server.start()
        server.kill()
        server.start()  # what was cut off ends at a start
        wrong, counts = judged(server, directory / "data" / "uploads", uploaders)
        counts["kills"] = killed + 1
        return wrong, counts
    finally:
        server.stop()


def judged(
    server: ServerProcess, folder: Path, uploaders: list[Uploader]
) -> tuple[list[str], Counter[str]]:
    """The errors, and counts."""
    wrong, counts = list[str](), Counter[str]()
    there = 0
    for uploader in uploaders:
        sizes = list[int]()
        for file in uploader.files:
            counts["begun"] += 1
            counts["stored"] += file.is_stored
            status, body = ask(server, "GET", file.path)
            if status == 200:
                sizes.append(len(body))
            if status == 200 and body != file.content:
                wrong.append(f"{file.path} is there in part")
            elif status != 200 and file.is_stored:
                wrong.append(f"{file.path} was stored, and is gone: {status}")
        listed = server.tell("upload list", account=f"{uploader.name}@{DOMAIN}")
        taken = [int(str(row["bytes"])) for row in listed if isinstance(row, dict)]
        if sorted(taken) != sorted(sizes):
            wrong.append(f"{uploader.name} has {sum(sizes)} bytes, of {sum(taken)} that count")
        there += len(sizes)
    on_disk = [path for path in folder.rglob("*") if path.is_file()]
    if len(on_disk) != there:
        wrong.append(f"{len(on_disk)} files are on the disk, of which {there} can be asked for")
    counts["there"] = there
    return wrong, counts


def main() -> None:
    """Run it, and print the errors."""
    parser = argparse.ArgumentParser(description="Kills during uploads.")
    parser.add_argument("--uploads", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    directory = Path(tempfile.mkdtemp(prefix="kills-", dir="/tmp"))
    try:
        wrong, counts = drill(
            directory, uploads=options.uploads, kills=options.kills, seed=options.seed
        )
    finally:
        shutil.rmtree(directory)
    print(", ".join(f"{name}: {count}" for name, count in counts.items()))
    print("\n".join(wrong) or "no file was lost, and no room")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
