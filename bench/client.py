"""Cheap XMPP clients for making load: one epoll loop, no XML parser.

The answers of a server are recognised by searching their bytes, so that the tool costs far less
than any server it measures. ``Client.on_data`` is the hook a scenario puts in place.
"""

import base64
import errno
import hashlib
import hmac
import os
import re
import resource
import select
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence

RECEIVE_BYTES = 65_536
EVENTS_PER_POLL = 1_024
MAX_DESCRIPTORS = 65_536
HANGUP = select.EPOLLHUP | select.EPOLLERR
NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)

FEATURES = re.compile(rb"</stream:features>")
PROCEED = re.compile(rb"<proceed\b[^>]*>")
HANDSHAKE = re.compile(rb"")  # nothing to read: the conversation goes on when TLS is up
CHALLENGE = re.compile(rb"<challenge\b[^>]*>([^<]*)</challenge>")
SUCCESS = re.compile(rb"<success\b[^>]*?/>|</success>")
IQ_ANSWER = re.compile(rb"</iq>|<iq\b[^>]*/>")
JID = re.compile(rb"<jid>([^<]*)</jid>")
REFUSED = re.compile(rb"<failure\b|</stream:error>|type=['\"]error['\"]")
SCRAM_CHALLENGE = re.compile(rb"r=([^,]+),s=([^,]+),i=(\d+)")

Conversation = Generator[re.Pattern[bytes], bytes, None]
"""Yields what it waits for, is sent the bytes in which that was found."""


class BenchError(Exception):
    """A void run: a server refused, dropped a connection or was too slow."""


def raise_descriptor_limit() -> None:
    """Allow as many sockets as the hard limit permits, here and in servers started from here."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MAX_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def ignore(data: bytes) -> None:
    """Read and forget."""


class Client:
    """One connection to the server."""

    __slots__ = (
        "awaited",
        "closed",
        "connections",
        "conversation",
        "descriptor",
        "finished",
        "handshaking",
        "index",
        "jid",
        "on_data",
        "peer",
        "receive",
        "received",
        "roster",
        "seen",
        "send_now",
        "sent_at",
        "socket",
        "stanza",
        "tail",
        "unsent",
        "user",
    )  # fmt: skip

    def __init__(self, connections: "Connections", user: str, index: int) -> None:
        self.connections, self.user, self.index = connections, user, index
        self.on_data: Callable[[bytes], None] = self._converse
        self.received = self.unsent = self.tail = b""
        self.jid = self.roster = self.stanza = b""
        self.peer = self
        self.seen: set[bytes] = set()
        self.sent_at: deque[float] = deque()
        self.handshaking = self.closed = False
        self.finished: Callable[[Client], None] = lambda client: None
        self.conversation: Conversation
        self.awaited = FEATURES

    @property
    def bare(self) -> bytes:
        """The bare JID."""
        return self.jid.split(b"/")[0]

    def connect(self) -> None:
        """Open the connection; bytes that are sent before it stands are kept."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ports = self.connections.ports
        port = ports[self.index % len(ports)]
        error = self.socket.connect_ex((self.connections.host, port))
        if error not in (0, errno.EINPROGRESS):
            raise BenchError(f"connect: {os.strerror(error)}")
        self._watch(select.EPOLLIN)

    def start_tls(self) -> None:
        """Put TLS on the connection; the conversation goes on when the handshake is done."""
        self.connections.epoll.unregister(self.descriptor)
        self.socket = self.connections.tls_context.wrap_socket(
            self.socket, do_handshake_on_connect=False, server_hostname=self.connections.domain
        )
        self.handshaking = True
        self._watch(select.EPOLLOUT)

    def shake_hands(self) -> None:
        """Take the handshake one step on; the first as soon as the socket can be written."""
        self.connections.epoll.modify(self.descriptor, select.EPOLLIN)
        try:
            self.socket.do_handshake()  # type: ignore[attr-defined]  # an SSLSocket by now
        except NOT_NOW:
            return
        self.handshaking = False
        self._resume(b"")

    def _watch(self, events: int) -> None:
        self.descriptor = self.socket.fileno()
        self.receive, self.send_now = self.socket.recv, self.socket.send
        self.connections.clients[self.descriptor] = self
        self.connections.epoll.register(self.descriptor, events)

    def send(self, data: bytes) -> None:
        """Send as much as the socket takes now, and the rest when it can."""
        if self.unsent:
            self.unsent += data
            return
        try:
            sent = self.send_now(data)
        except NOT_NOW:
            sent = 0
        except OSError as error:
            if error.errno != errno.ENOTCONN:
                raise
            sent = 0
        if sent != len(data):
            self.unsent = data[sent:]
            self.connections.epoll.modify(self.descriptor, select.EPOLLIN | select.EPOLLOUT)

    def flush(self) -> None:
        """Send the bytes that were left over."""
        try:
            sent = self.send_now(self.unsent)
        except NOT_NOW:
            return
        self.unsent = self.unsent[sent:]
        if not self.unsent:
            self.connections.epoll.modify(self.descriptor, select.EPOLLIN)

    def close(self, *, politely: bool = True) -> None:
        """Close the stream, if the server is still there, and the connection."""
        if self.closed:
            return
        self.closed = True
        if politely:
            try:
                self.send_now(b"</stream:stream>")
            except OSError:  # the server was faster; nothing is lost
                politely = False
        self.connections.epoll.unregister(self.descriptor)
        del self.connections.clients[self.descriptor]
        self.socket.close()

    def begin(self, conversation: Conversation) -> None:
        """Connect and hold this conversation."""
        self.conversation = conversation
        self.connect()
        self.awaited = next(conversation)

    def _converse(self, data: bytes) -> None:
        self.received += data
        if self.awaited.search(self.received):
            received, self.received = self.received, b""
            self._resume(received)
        elif REFUSED.search(self.received):
            raise BenchError(f"{self.user}: refused, {self.received[-300:]!r}")

    def _resume(self, received: bytes) -> None:
        try:
            self.awaited = self.conversation.send(received)
        except StopIteration:
            self.finished(self)


class Connections:
    """Many clients of one server, the loop that serves them, and how they log in."""

    def __init__(
        self,
        host: str,
        port: int | Sequence[int],
        domain: str,
        password: str,
        *,
        mechanism: str = "PLAIN",
        starttls: bool = False,
        numbered_status: bool = False,
        inside: bytes = b"",
    ) -> None:
        """Prepare; nobody connects yet.

        Args:
            host: Address of the server.
            port: Its client port; of several nodes, where clients connect in turn.
            domain: The domain all users belong to.
            password: The password all users have.
            mechanism: PLAIN, SCRAM-SHA-1 or SCRAM-SHA-256.
            starttls: Whether to encrypt.
            numbered_status: Whether the initial presence has a number as its status.
            inside: What the initial presence has in it.
        """
        self.host, self.domain, self.password = host, domain, password
        self.ports = (port,) if isinstance(port, int) else tuple(port)
        self.mechanism, self.starttls, self.numbered_status = mechanism, starttls, numbered_status
        self.inside = inside
        self.epoll = select.epoll()
        self.clients: dict[int, Client] = {}
        self.lost = 0
        self.header = (
            "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
            f"xmlns:stream='http://etherx.jabber.org/streams' to='{domain}' version='1.0'>"
        ).encode()
        self.tls_context = ssl.create_default_context()
        self.tls_context.check_hostname = False
        self.tls_context.verify_mode = ssl.CERT_NONE  # the servers' certificates are self-signed

    def poll(self, timeout_s: float) -> bool:
        """Serve all sockets that are ready; returns whether any was."""
        clients = self.clients
        events = self.epoll.poll(timeout_s, EVENTS_PER_POLL)
        for descriptor, event in events:
            client = clients.get(descriptor)
            if client is None:
                continue
            if client.handshaking:
                client.shake_hands()
                continue
            if event & select.EPOLLOUT and client.unsent:
                client.flush()
            if not event & (select.EPOLLIN | HANGUP):
                continue
            try:
                data = client.receive(RECEIVE_BYTES)
            except NOT_NOW:
                continue
            except OSError:
                data = b""
            if data:
                client.on_data(data)
            else:
                self.lost += 1
                client.close(politely=False)
        return bool(events)

    def serve(self, duration_s: float) -> None:
        """Serve for a while."""
        end = time.perf_counter() + duration_s
        while time.perf_counter() < end:
            self.poll(0.02)
        self.check()

    def serve_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Serve until something is true, or fail."""
        end = time.perf_counter() + timeout_s
        while not done():
            self.poll(0.05)
            self.check()
            if time.perf_counter() > end:
                raise BenchError(f"timeout after {timeout_s:.0f} s")

    def drain(self, quiet_s: float = 0.3, timeout_s: float = 30.0) -> None:
        """Serve until nothing has come for a while."""
        last = time.perf_counter()
        end = last + timeout_s
        while (now := time.perf_counter()) < end:
            if self.poll(0.05):
                last = now
            elif now - last > quiet_s:
                break
        self.check()

    def check(self) -> None:
        """Fail if the server dropped a connection."""
        if self.lost:
            raise BenchError(f"{self.lost} connections lost")

    def close(self) -> None:
        """Close all connections."""
        for client in list(self.clients.values()):
            client.close()

    # -- conversations ---------------------------------------------------------------

    def log_in(
        self,
        users: list[str],
        concurrency: int,
        on_ready: Callable[[Client], None] | None = None,
        timeout_s: float = 300.0,
    ) -> list[Client]:
        """Log all users in, so many at a time; on_ready sees each before its presence goes out."""

        def converse(client: Client) -> Conversation:
            yield from self._negotiate(client)
            client.on_data = ignore
            if on_ready:
                on_ready(client)
            client.send(self._initial_presence(client))

        return self._hold(converse, users, concurrency, timeout_s)

    def register(self, users: list[str], concurrency: int, timeout_s: float = 900.0) -> None:
        """Create accounts in-band (XEP-0077); those that exist are kept."""

        def converse(client: Client) -> Conversation:
            client.send(self.header)
            yield FEATURES
            client.send(
                f"<iq type='set' id='register' to='{self.domain}'>"
                f"<query xmlns='jabber:iq:register'><username>{client.user}</username>"
                f"<password>{self.password}</password></query></iq>".encode()
            )
            answer = yield IQ_ANSWER
            if REFUSED.search(answer) and b"<conflict" not in answer:
                raise BenchError(f"{client.user}: not registered, {answer[-300:]!r}")
            client.close()

        self._hold(converse, users, concurrency, timeout_s)

    def _hold(
        self,
        converse: Callable[[Client], Conversation],
        users: list[str],
        concurrency: int,
        timeout_s: float,
    ) -> list[Client]:
        """Hold the same conversation with every user, so many at a time."""
        finished: list[Client] = []
        begun = 0

        def all_done() -> bool:
            nonlocal begun
            while begun < len(users) and begun - len(finished) < concurrency:
                client = Client(self, users[begun], begun)
                client.finished = finished.append
                begun += 1
                client.begin(converse(client))
            return len(finished) == len(users)

        self.serve_until(all_done, timeout_s)
        return sorted(finished, key=lambda client: client.index)

    def _negotiate(self, client: Client) -> Conversation:
        """From the stream header to the roster (RFC 6120, RFC 6121)."""
        client.send(self.header)
        yield FEATURES
        if self.starttls:
            client.send(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            yield PROCEED
            client.start_tls()
            yield HANDSHAKE
            client.send(self.header)
            yield FEATURES
        yield from self._plain(client) if self.mechanism == "PLAIN" else self._scram(client)
        client.send(self.header)
        yield FEATURES
        client.send(
            b"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
            b"<resource>bench%d</resource></bind></iq>" % client.index
        )
        bound = JID.search((yield IQ_ANSWER))
        if bound is None:
            raise BenchError(f"{client.user}: not bound")
        client.jid = bound[1]
        client.send(b"<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
        client.roster = yield IQ_ANSWER

    def _plain(self, client: Client) -> Conversation:
        message = f"\0{client.user}\0{self.password}".encode()
        client.send(
            b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
            + base64.b64encode(message)
            + b"</auth>"
        )
        yield SUCCESS

    def _scram(self, client: Client) -> Conversation:
        """SCRAM without channel binding (RFC 5802)."""
        first = b"n=%b,r=%b" % (client.user.encode(), base64.b64encode(os.urandom(18)))
        client.send(
            b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='%b'>%b</auth>"
            % (self.mechanism.encode(), base64.b64encode(b"n,," + first))
        )
        challenge = CHALLENGE.search((yield CHALLENGE))
        assert challenge is not None
        final = scram_final(
            self.mechanism, client.user, self.password, first, base64.b64decode(challenge[1])
        )
        client.send(
            b"<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%b</response>"
            % base64.b64encode(final)
        )
        yield SUCCESS

    def _initial_presence(self, client: Client) -> bytes:
        if self.numbered_status:
            return b"<presence><status>@%d@</status></presence>" % client.index
        return b"<presence><priority>1</priority>%b</presence>" % self.inside


_salted_passwords: dict[tuple[str, bytes, int, str], bytes] = {}
"""Kept, so that a second login costs the tool no PBKDF2; one entry for each user of this run."""


def scram_final(
    mechanism: str, user: str, password: str, client_first: bytes, server_first: bytes
) -> bytes:
    """The client-final-message (:rfc:`5802#section-5.1`)."""
    algorithm = "sha1" if mechanism == "SCRAM-SHA-1" else "sha256"
    parts = SCRAM_CHALLENGE.search(server_first)
    if parts is None:
        raise BenchError(f"{user}: not a SCRAM challenge, {server_first!r}")
    nonce, salt, iterations = parts[1], parts[2], int(parts[3])
    key = (user, salt, iterations, algorithm)
    salted = _salted_passwords.get(key)
    if salted is None:
        salted = _salted_passwords[key] = hashlib.pbkdf2_hmac(
            algorithm, password.encode(), base64.b64decode(salt), iterations
        )
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    without_proof = b"c=biws,r=" + nonce
    auth_message = b",".join((client_first, server_first, without_proof))
    stored_key = hashlib.new(algorithm, client_key).digest()
    signature = hmac.digest(stored_key, auth_message, algorithm)
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return without_proof + b",p=" + base64.b64encode(proof)
