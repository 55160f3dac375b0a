"""The cost of coming back: a whole login, one round trip, or a resumed session; and a restart.

    python -m bench.sessions [--repetitions N] [--clients N]

Clients under TLS return by SCRAM as RFC 6120 has it, by SASL2 with Bind 2, by a token (FAST), and
by a token to the session they had (stream management), in turn. Then as many as RESTARTED, with
CONTACTS contacts each, are online when the server is stopped and started, and all resume.
"""

import argparse
import base64
import hmac
import os
import re
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from uuid import UUID

from bench.client import (
    CHALLENGE,
    FEATURES,
    HANDSHAKE,
    IQ_ANSWER,
    PROCEED,
    BenchError,
    Client,
    Connections,
    Conversation,
    ignore,
    raise_descriptor_limit,
    scram_final,
)
from bench.compare import machine, number, spread, table
from bench.fill import fill
from bench.load import DATABASE, PRESENCE_END, Total, count, skewed_friendships
from bench.meter import Meter, Result, measured
from bench.ours import Xmppd

PASSWORD = "pw"
RESTARTED = 2_000
CONTACTS = 50
AT_ONCE = 50
TLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
ENABLE = b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>"
REQUEST_TOKEN = b"<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
TOKEN = re.compile(rb"token=['\"]([^'\"]+)")
SESSION = re.compile(rb"<enabled [^>]*?id=['\"]([^'\"]+)")
IDENTIFIER = re.compile(rb"<authorization-identifier>([^<]+)")
STANZA = re.compile(rb"<(?:presence|iq|message)\b")
SUCCESS = re.compile(rb"</success>.*</stream:features>", re.DOTALL)
RESUMED = re.compile(rb"<resumed .*</stream:features>", re.DOTALL)


class Phones(Connections):
    """Clients that come back without the password, if they can.

    Attributes:
        how: ``classic``, ``sasl2``, ``token`` or ``resume``; by ``first`` and ``again`` they get
            what the last two need.
        tokens: By user, since a login by SASL2.
        sessions: By user, since they enabled stream management.
        handled: The number of stanzas they got since then; 0 if not counted.
    """

    def __init__(self, server: Xmppd, how: str, known: "Phones | None" = None) -> None:
        super().__init__("127.0.0.1", server.port, server.domain, PASSWORD,
                         mechanism="SCRAM-SHA-1", starttls=True)  # fmt: skip
        self.how = how
        self.tokens: dict[str, bytes] = {} if known is None else known.tokens
        self.sessions: dict[str, bytes] = {} if known is None else known.sessions
        self.handled: dict[str, int] = {} if known is None else known.handled

    def _negotiate(self, client: Client) -> Conversation:
        if self.how == "classic":
            yield from super()._negotiate(client)
            return
        client.send(self.header)
        yield FEATURES
        client.send(TLS)
        yield PROCEED
        client.start_tls()
        yield HANDSHAKE
        if self.how == "resume":
            client.send(self.header + self._by_token(client, self._resume(client.user)))
            yield RESUMED
            return
        if self.how in ("token", "again"):
            client.send(self.header + self._by_token(client, self._bind))
            success = yield SUCCESS
        else:
            success = yield from self._sasl2(client)
        self._note(client, success)
        client.send(b"<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
        client.roster = yield IQ_ANSWER

    def _sasl2(self, client: Client) -> Generator[re.Pattern[bytes], bytes, bytes]:
        client.send(self.header)
        yield FEATURES
        first = b"n=%b,r=%b" % (client.user.encode(), base64.b64encode(os.urandom(18)))
        inline = self._bind if self.how == "sasl2" else REQUEST_TOKEN + self._bind
        client.send(self._authenticate(client, "SCRAM-SHA-1", b"n,," + first, inline))
        challenge = CHALLENGE.search((yield CHALLENGE))
        assert challenge is not None
        final = scram_final(
            "SCRAM-SHA-1", client.user, PASSWORD, first, base64.b64decode(challenge[1])
        )
        client.send(b"<response xmlns='urn:xmpp:sasl:2'>%b</response>" % base64.b64encode(final))
        return (yield SUCCESS)

    @property
    def _bind(self) -> bytes:
        enable = ENABLE if self.how in ("first", "again") else b""
        return b"<bind xmlns='urn:xmpp:bind:0'><tag>bench</tag>%b</bind>" % enable

    def _resume(self, user: str) -> bytes:
        return b"<resume xmlns='urn:xmpp:sm:3' previd='%b' h='%d'/>" % (
            self.sessions[user], self.handled.get(user, 0),
        )  # fmt: skip

    def _by_token(self, client: Client, inline: bytes) -> bytes:
        proof = hmac.digest(self.tokens[client.user], b"Initiator", "sha256")
        message = client.user.encode() + b"\0" + proof
        fast = b"<fast xmlns='urn:xmpp:fast:0'/>"
        return self._authenticate(client, "HT-SHA-256-NONE", message, fast + inline)

    def _authenticate(self, client: Client, mechanism: str, message: bytes, inline: bytes) -> bytes:
        return (
            b"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='%b'><initial-response>%b"
            b"</initial-response><user-agent id='%b'/>%b</authenticate>"
            % (
                mechanism.encode(),
                base64.b64encode(message),
                str(UUID(int=client.index)).encode(),
                inline,
            )
        )

    def _initial_presence(self, client: Client) -> bytes:
        """The initial presence, unless the client resumes."""
        return b"" if self.how == "resume" else super()._initial_presence(client)

    def _note(self, client: Client, success: bytes) -> None:
        identifier = IDENTIFIER.search(success)
        if identifier is None:
            raise BenchError(f"{client.user} is not let in, {success[-300:]!r}")
        client.jid = identifier[1]
        for found, kept in ((TOKEN, self.tokens), (SESSION, self.sessions)):
            matched = found.search(success)
            if matched is not None:
                kept[client.user] = matched[1]

    def abort(self) -> None:
        """Their network breaks."""
        for client in list(self.clients.values()):
            client.close(politely=False)


def come(phones: Phones, users: list[str], meter: Meter) -> Result:
    """Let them all come, so many at a time."""
    before = meter.read()
    phones.log_in(users, AT_ONCE)
    wall_s = time.perf_counter() - before.wall_s
    meter.settle(phones)
    return measured(before, meter.read(), len(users), wall_s=wall_s)


def returns(server: Xmppd, meter: Meter, users: list[str]) -> dict[str, Result]:
    """Each way to come back, once."""
    known, results = Phones(server, "first"), {}
    for how in ("first", "classic", "sasl2", "again", "resume", "token"):
        phones = Phones(server, how, known)
        results[how] = come(phones, users, meter)
        if how == "again":
            phones.abort()  # so that there is a session to come back to
        else:
            phones.close()
        meter.settle()
    return {how: result for how, result in results.items() if how not in ("first", "again")}


def keep(client: Client) -> None:
    """Keep all that the client gets from now on."""

    def on_data(data: bytes) -> None:
        client.tail += data

    client.on_data = on_data


def restart(server: Xmppd, users: list[str], empty_kb: int) -> dict[str, float]:
    """Restart the server while everybody is online, and have all resume their sessions.

    Args:
        server: Is running.
        users: With their contacts.
        empty_kb: Its memory without clients.
    """
    phones = Phones(server, "first")
    clients = phones.log_in(users, AT_ONCE, keep)
    phones.drain(1.0)
    for client in clients:
        phones.handled[client.user] = len(STANZA.findall(client.roster + client.tail))
        client.on_data = ignore
    server.stop()
    phones.abort()
    began = time.perf_counter()
    meter = Meter([server.start()])
    up_s = time.perf_counter() - began
    meter.settle()
    asleep_kb = meter.rss_kb() - empty_kb
    heard, back = Total(), Phones(server, "resume", phones)
    before = meter.read()
    back.log_in(users, AT_ONCE, lambda client: count(client, PRESENCE_END, heard.add))
    wall_s = time.perf_counter() - before.wall_s
    meter.settle(back)
    cost = measured(before, meter.read(), len(users), wall_s=wall_s)
    back.close()
    return {
        "presences": heard.stanzas,
        "up_s": up_s,
        "back_s": wall_s,
        "cpu_us": float(cost["cpu_us_per_op"] or 0),
        "asleep_kb": asleep_kb,
    }


def contacts(users: list[str], domain: str) -> dict[str, list[str]]:
    """The contacts: many users have few, and a few have many."""
    known: dict[str, list[str]] = {f"{user}@{domain}": [] for user in users}
    for one, other in skewed_friendships(len(users), CONTACTS):
        known[f"{users[one]}@{domain}"].append(f"{users[other]}@{domain}")
        known[f"{users[other]}@{domain}"].append(f"{users[one]}@{domain}")
    return known


def main() -> int:
    """Measure, print the report, leave no server running."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--clients", type=int, default=200)
    options = parser.parse_args()
    raise_descriptor_limit()
    users = [f"u{number}" for number in range(options.clients)]
    many = [f"m{number}" for number in range(RESTARTED)]
    results: dict[str, list[Result]] = {}
    with tempfile.TemporaryDirectory(prefix="xmppd-bench-") as directory:
        server = Xmppd(Path(directory))
        try:
            meter = Meter([server.start()])
            empty_kb = meter.rss_kb()
            fill(
                f"sqlite:///{server.data / DATABASE}",
                PASSWORD,
                {f"{u}@{server.domain}": [] for u in users},
            )
            fill(f"sqlite:///{server.data / DATABASE}", PASSWORD, contacts(many, server.domain))
            for _ in range(options.repetitions):
                for how, result in returns(server, meter, users).items():
                    results.setdefault(how, []).append(result)
            restarted = restart(server, many, empty_kb)
        finally:
            server.stop()
    rows = [
        [how, spread(found, "cpu_us_per_op"), spread(found, "ops_per_s")]
        for how, found in results.items()
    ]
    print(f"{machine()}\n")
    print(table(["coming back by", "server CPU, µs", "clients a second"], rows))
    print(
        f"\nRestart with {RESTARTED} clients of about {CONTACTS} contacts: up after"
        f" {number(restarted['up_s'])} s, all back {number(restarted['back_s'])} s later,"
        f" {number(restarted['cpu_us'])} µs each; {restarted['presences']} presences were sent;"
        f" {number(restarted['asleep_kb'] / RESTARTED)} KB of memory for each that slept."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
