"""Hostile input never disturbs others: a pair keeps chatting whatever comes at the server."""

import contextlib
import resource
import time
from pathlib import Path

from tests.integration.attackers import (
    HEADER,
    HostileCase,
    Intruder,
    attacker,
    client_hello,
    last_words,
    plain,
    reset,
)
from tests.unit.login.logins import agent, authenticate
from tests.unit.login.logins import plain as plain_message
from tests.unit.login.test_fast import by_token

STARTTLS = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
VCARD = b"<vCard xmlns='vcard-temp'/>"


class HostileTests(HostileCase):
    """Attacks on our own endpoint."""

    def test_strangers(self) -> None:
        """Whoever has no password cannot disturb who has, whatever they send or hold back."""
        for attack in (
            self.garbage,
            self.tls_on_the_wrong_port,
            self.half_open,
            self.byte_by_byte,
            self.starttls_injection,
            self.resets_in_handshakes,
            self.storm,
            self.names_of_strangers,
            self.early_garbage,
            self.guesses,
        ):
            with self.attack(attack.__name__):
                attack()

    def test_friends(self) -> None:
        """Whoever has a password cannot disturb others by it."""
        for attack in (
            self.replayed_tokens,
            self.flood,
            self.large_stanzas,
            self.depth,
            self.names,
            self.many_addresses,
            self.answers_that_nobody_reads,
            self.messages_that_nobody_reads,
        ):
            with self.attack(attack.__name__):
                attack()

    def test_no_descriptors(self) -> None:
        """When there are no descriptors left, whoever is in stays, and others come in later."""
        with self.attack("descriptors"):
            pid = self.process.pid
            used = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 20, hard))
            connections = [attacker(self.starttls) for _ in range(100)]
            count = self.canary.count
            self.wait_for(lambda: self.canary.count > count + 50 or self.canary.trouble)
            for wire in connections:
                wire.close()
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))

    # -- strangers ------------------------------------------------------------------------------

    def garbage(self) -> None:
        """Random bytes, at either door."""
        for number in range(60):
            wire = attacker((self.starttls, self.direct)[number % 2])
            with contextlib.suppress(OSError):
                wire.sendall(self.random.randbytes(self.random.randrange(1, 60_000)))
            wire.close()

    def tls_on_the_wrong_port(self) -> None:
        """TLS where nobody has asked for it."""
        for _ in range(30):
            wire = attacker(self.starttls)
            wire.sendall(client_hello() + b"\x16\x03\x03" + self.random.randbytes(500))
            self.assertIn(b"<stream:error>", last_words(wire))

    def half_open(self) -> None:
        """More connections that say nothing than there is room for."""
        with contextlib.ExitStack() as connections:
            for _ in range(2_000):
                connections.enter_context(attacker(self.starttls))
            newcomer = Intruder(self.direct)
            newcomer.log_in("tybalt", "a rose by any other name")
            newcomer.close()

    def byte_by_byte(self) -> None:
        """Headers that never end, a byte at a time."""
        header = HEADER[:-1] + b" x='" + b"x" * 8_000
        connections = [attacker(self.starttls) for _ in range(20)]
        for at in range(300):
            for wire in connections:
                wire.send(header[at : at + 1])
        for wire in connections:
            wire.sendall(header[300:] + b"x" * 400)
            self.assertIn(b"<policy-violation", last_words(wire))

    def starttls_injection(self) -> None:
        """What comes in the clear behind <starttls/> is not taken for what comes under TLS."""
        wire = attacker(self.starttls)
        wire.sendall(HEADER + STARTTLS + HEADER + plain("romeo", "x"))
        words = last_words(wire)
        self.assertIn(b"<policy-violation", words)
        self.assertNotIn(b"<proceed", words)

    def resets_in_handshakes(self) -> None:
        """Connections that break in the middle of a handshake."""
        hello = client_hello()
        for _ in range(200):
            wire = attacker(self.direct)
            wire.sendall(hello[: self.random.randrange(1, len(hello) + 1)])
            reset(wire)
        for _ in range(50):
            wire = attacker(self.starttls)
            wire.sendall(HEADER + STARTTLS)
            data = b""
            while b"<proceed" not in data:
                data += wire.recv(65_536)
            wire.sendall(hello[:100])
            reset(wire)

    def storm(self) -> None:
        """Coming and going."""
        for number in range(1_500):
            wire = attacker(self.starttls)
            if number % 3:
                wire.sendall(HEADER)
            if number % 2:
                wire.close()
            else:
                reset(wire)

    def names_of_strangers(self) -> None:
        """Names that nobody has ever heard of, before anybody has logged in."""
        odd = HEADER[:-1] + b" xmlns:odd='odd'>"
        for number in range(100):
            wire = attacker(self.starttls)
            names = b"".join(b"<n%d-%d/>" % (number, name) for name in range(800))
            query = b"<query xmlns='jabber:iq:register'>%b</query>" % names
            with contextlib.suppress(OSError):
                wire.sendall((HEADER, odd)[number % 2] + b"<iq type='get' id='1'>%b</iq>" % query)
            reset(wire)

    def early_garbage(self) -> None:
        """What is no login, right behind the header, with the first bytes under TLS."""
        begin = b"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'><initial-response>"
        for garbage, words in (
            (self.random.randbytes(2_000), b"<stream:error>"),
            (begin + b"A" * 20_000, b"<policy-violation"),
            (begin + b"<a>" * 1_000, b"<policy-violation"),
            (begin + b"!</initial-response></authenticate>", b"<incorrect-encoding"),
            (b"<authenticate xmlns='urn:xmpp:sasl:2'/>" * 10, b"<policy-violation"),
            (b"<next xmlns='urn:xmpp:sasl:2' task='UPGR-SCRAM-SHA-512'/>", b"<malformed-request"),
        ):
            for _ in range(10):
                wire = Intruder(self.direct)
                wire.send(HEADER)
                wire.flood(garbage)
                wire.until(words)
                reset(wire.socket)
        connections = [Intruder(self.direct) for _ in range(30)]
        for wire in connections:
            wire.send(HEADER + begin + b"A" * 9_000)  # and never a word more
        for wire in connections:
            reset(wire.socket)

    def guesses(self) -> None:
        """Passwords are guessed on many streams at once."""
        connections = [Intruder(self.direct) for _ in range(30)]
        for wire in connections:
            wire.send(HEADER)
            with contextlib.suppress(EOFError):  # the server need not wait for us
                wire.until(b"</stream:features>")
        for _ in range(3):
            for number, wire in enumerate(connections):
                wire.flood(plain(("tybalt", f"nobody{number}")[number % 2], "x" * 1_000))
        for wire in connections:
            reset(wire.socket)

    # -- friends --------------------------------------------------------------------------------

    def replayed_tokens(self) -> None:
        """A login by a token, recorded and played again and again."""
        message = plain_message("tybalt", "a rose by any other name")
        request = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
        wire = Intruder(self.direct)
        wire.send(HEADER + authenticate(message, request, agent=agent()).encode())
        wire.until(b" token='")
        token = wire.until(b"'")[:-1].decode()
        wire.close()
        recorded = HEADER + by_token(token, name="tybalt", count="1").encode()
        wire = Intruder(self.direct)
        wire.send(recorded)
        wire.until(b"</success>")
        wire.close()
        for _ in range(8):
            wire = Intruder(self.direct)
            wire.send(recorded)
            self.assertIn(b"<not-authorized", wire.until(b"</failure>"))
            wire.close()

    def flood(self) -> None:
        """More stanzas than allowed: they are taken slowly, and none is lost."""
        tybalt = self.intruder()
        tybalt.send(b"<iq/>" * 13_000 + b"<presence/>" * 2_000)
        began = time.monotonic()
        while time.monotonic() < began + 1.5:
            tybalt.socket.recv(65_536)
        reset(tybalt.socket)

    def large_stanzas(self) -> None:
        """As large as allowed, and one byte more."""
        tybalt = self.intruder()
        stanza = b"<message to='tybalt@localhost'><body>%b</body></message>"
        room = 262_144 - len(stanza) + 2
        tybalt.send(stanza % (b"x" * room))
        tybalt.until(b"</message>")
        tybalt.send(stanza % (b"x" * (room + 1)))
        self.assertIn(b"<policy-violation", tybalt.until(b"</stream:stream>"))
        tybalt.close()

    def depth(self) -> None:
        """Elements inside one another."""
        for depth, answer in ((63, b"</message>"), (64, b"<policy-"), (30_000, b"<policy-")):
            tybalt = self.intruder()
            inner = b"<a>" * depth + b"</a>" * depth
            tybalt.flood(b"<message to='tybalt@localhost'>%b</message>" % inner)
            tybalt.until(answer)
            tybalt.close()

    def names(self) -> None:
        """Names that nobody has ever heard of, as many as may be sent."""
        for number in range(10):
            tybalt = self.intruder()
            names = b"".join(b"<n%d-%d/>" % (number, name) for name in range(20_000))
            tybalt.send(b"<message to='tybalt@localhost'><body/>%b</message>" % names[:255_000])
            tybalt.flood(b"")
            tybalt.close()

    def many_addresses(self) -> None:
        """Addresses that are long, strange, and never the same."""
        tybalt = self.intruder()
        rose = "\N{ROSE}".encode() * 250
        for number in range(2_000):
            tybalt.flood(b"<presence to='x@localhost/%d%b'/>" % (number, rose))
        tybalt.close()

    def answers_that_nobody_reads(self) -> None:
        """Small questions with large answers, which are not read."""
        tybalt = self.intruder()
        card = b"<vCard xmlns='vcard-temp'><NOTE>%b</NOTE></vCard>" % (b"x" * 200_000)
        tybalt.send(b"<iq type='set' id='set'>%b</iq>" % card)
        tybalt.until(b"id='set'")
        tybalt.close()
        connections = [self.intruder(reads_little=True) for _ in range(5)]
        for wire in connections:
            wire.flood(b"<iq type='get' id='get'>%b</iq>" % VCARD * 200)
        self.wait_for_goodbye()
        for wire in connections:
            wire.close()

    def messages_that_nobody_reads(self) -> None:
        """What people write to each other who do not read."""
        connections = [self.intruder(reads_little=True) for _ in range(5)]
        body = b"<body>%b</body>" % (b"x" * 200_000)
        for wire in connections:
            wire.flood(b"<message to='tybalt@localhost' type='headline'>%b</message>" % body * 10)
        self.wait_for_goodbye()
        for wire in connections:
            wire.close()

    def wait_for_goodbye(self) -> None:
        """Until the server has given up all intruders."""
        self.wait_for(lambda: not self.rows("session", "list", "--account", "tybalt"))


class StockHostileTests(HostileTests):
    """The same attacks on Twisted's endpoint."""

    endpoint = "tcp:0:interface=127.0.0.1:backlog=1024"
