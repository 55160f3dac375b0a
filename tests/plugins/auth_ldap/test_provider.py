"""Passwords of people in a real directory, Debian's slapd."""

import socket
from contextlib import closing
from threading import Thread
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.auth_ldap.directories import DirectoryCase, account
from tests.ports import HOST, free_port
from tests.slapd_server import PEOPLE, SlapdProcess, person
from xmppd.testing.signing_authority import SigningAuthority
from xmppd_plugins.auth_ldap.connection import MAX_ANSWER_BYTES, Found, LDAPConnection
from xmppd_plugins.auth_ldap.directory import MAX_CONNECTIONS, LDAPAway, LDAPDirectory
from xmppd_plugins.auth_ldap.provider import LDAPAuthProvider
from xmppd_plugins.auth_ldap.settings import AuthLDAPSettings

AWAY = "temporary-auth-failure"


class PasswordTests(DirectoryCase):
    """Who is let in."""

    async def test_password(self) -> None:
        """The right password is; a wrong one is not, nor anybody whom the directory has not."""
        self.assertEqual(await self.answer("romeo", "but soft"), "yes")
        self.assertEqual(await self.answer("romeo", "wherefore"), "no")
        self.assertEqual(await self.answer("nobody", "but soft"), "no")
        self.assertEqual(await self.answer("juliet", "wherefore"), "yes")

    async def test_empty(self) -> None:
        """An empty password is refused before anything is asked, though this directory lets a
        name without one in (AU-1).
        """
        refused = await self.trying.ask(lambda asked: asked.bind(f"uid=romeo,{PEOPLE}", ""))
        self.assertEqual(refused, 0)
        self.slapd.stop()
        self.assertEqual(await self.answer("romeo", ""), "no")

    async def test_filter_in_a_name(self) -> None:
        """A name is looked for as it is, whatever it would mean in a filter (AU-2)."""
        for name in ("*", "romeo)(uid=*", "r*", "romeo)", "(romeo", "romeo\\2a", "romeo\\"):
            with self.subTest(name):
                self.assertEqual(await self.answer(name, "but soft"), "no")

    async def test_a_name_that_looks_like_one(self) -> None:
        """Whom the directory takes for the same is somebody else here: it calls more names
        equal.
        """
        self.slapd.stop()
        self.slapd.change(_added(person("strasse", "open")))
        self.slapd.start()
        self.assertEqual(await self.answer("strasse", "open"), "yes")
        self.assertEqual(await self.answer("straße", "open"), "no")

    async def test_two(self) -> None:
        """A name that two entries have is nobody's."""
        self.slapd.stop()
        self.slapd.change(
            _added(person("romeo", "but soft").replace(f"uid=romeo,{PEOPLE}", f"cn=romeo,{PEOPLE}"))
            .replace("objectClass: inetOrgPerson\n", "objectClass: inetOrgPerson\nuid: romeo\n")
        )  # fmt: skip
        self.slapd.start()
        self.assertEqual(await self.answer("romeo", "but soft"), "no")

    async def test_whole_address(self) -> None:
        """An attribute may have whole addresses."""
        self.provider = self.made(
            self.slapd.socket_url, name_attribute="mail", name="address", refusal_s=0.0
        )
        self.assertEqual(await self.answer("juliet", "wherefore"), "yes")
        elsewhere = self.provider.check_password("juliet@mantua.lit", "wherefore")
        self.assertFalse(await elsewhere)

    async def test_having(self) -> None:
        """People may have to have more than a name."""
        self.provider = self.made(
            self.slapd.socket_url, having={"cn": "juliet", "sn": "*", "objectClass": "person"}
        )
        self.assertEqual(await self.answer("juliet", "wherefore"), "yes")
        self.assertEqual(await self.answer("romeo", "but soft"), "no")


def _added(entry: str) -> str:
    """The change that adds an entry."""
    first, _, rest = entry.partition("\n")
    return f"{first}\nchangetype: add\n{rest}"


class TellTaleTests(DirectoryCase):
    """Nobody learns who is there."""

    async def questions(self, name: str) -> list[str]:
        """The questions that a wrong password costs."""
        asked: list[str] = []

        class Seen(LDAPConnection):
            def _send(self, op: object, controls: object = None) -> object:
                asked.append(type(op).__name__)
                return super()._send(op, controls)

        with patch("xmppd_plugins.auth_ldap.directory.LDAPConnection", Seen):
            self.provider = self.made(self.slapd.socket_url)
            self.assertEqual(await self.answer(name, "no idea"), "no")
        return asked

    async def test_same_questions(self) -> None:
        """A wrong password costs the same questions, whether somebody is there or not."""
        there = await self.questions("romeo")
        self.assertEqual(there, ["LDAPBindRequest", "LDAPSearchRequest", "LDAPBindRequest"])
        self.assertEqual(await self.questions("nobody"), there)


class RefusalTests(SynchronousTestCase):
    """The time of a refusal, with a directory that takes a known time."""

    def refused_after(self, search_s: float, bind_s: float, entries: int) -> float:
        """How long it takes to be refused."""
        clock = Clock()
        settings = AuthLDAPSettings(servers=("ldapi://x",), base="dc=x", refusal_s=0.5)
        provider = LDAPAuthProvider(
            settings, _Slow(clock, search_s, settings), _Slow(clock, bind_s, settings), clock
        )
        result = Deferred.fromCoroutine(provider.check_password(account("romeo"), "wrong"))
        while not result.called:
            clock.advance(0.01)
        self.assertFalse(self.successResultOf(result))
        return clock.seconds()

    def test_at_the_same_time(self) -> None:
        """It comes half a second after the question, or a second, and so on: not when a directory
        has done with what it does only for people who are there.
        """
        for bind_s in (0.0, 0.1, 0.3):
            self.assertAlmostEqual(self.refused_after(0.1, bind_s, 1), 0.5, delta=0.02)
        self.assertAlmostEqual(self.refused_after(0.2, 0.6, 1), 1.0, delta=0.02)


class _Slow(LDAPDirectory):
    """Takes a time, and knows nobody."""

    def __init__(self, clock: Clock, takes_s: float, settings: AuthLDAPSettings) -> None:
        super().__init__(settings, "", None, clock, as_reader=False)
        self._clock, self._takes_s = clock, takes_s

    async def ask(self, question: Any, *, within_s: float | None = None) -> Any:
        """Whoever asks for entries finds none."""
        done: Deferred[None] = Deferred()
        self._clock.callLater(self._takes_s, done.callback, None)
        await done
        return await question(_Nobody())


class _Nobody:
    async def search(self, wanted: object, limit: int) -> Any:
        return Found([])

    async def bind(self, dn: object, password: str) -> int:
        return 49


class TLSTests(DirectoryCase):
    """How passwords travel (AU-3)."""

    async def test_starttls(self) -> None:
        """Without TLS at first, it is asked for, and nothing else is sent before it is there."""
        self.provider = self.made(f"ldap://localhost:{self.slapd.port}")
        self.assertEqual(await self.answer("romeo", "but soft"), "yes")
        self.assertEqual(await self.answer("romeo", "wrong"), "no")

    async def test_another_name(self) -> None:
        """A certificate for another name is none; that is no reason to call a password wrong."""
        slapd = self.slapd_of(self.people, name="mantua.lit")
        for url in (f"ldaps://localhost:{slapd.tls_port}", f"ldap://localhost:{slapd.port}"):
            with self.subTest(url):
                self.provider = self.made(url, authorities=str(slapd.authority.file))
                self.assertEqual(await self.answer("romeo", "but soft"), AWAY)

    async def test_another_authority(self) -> None:
        """So is one that nobody known has signed."""
        other = SigningAuthority(self.slapd.directory, "other")
        for url in (
            f"ldaps://localhost:{self.slapd.tls_port}",
            f"ldap://localhost:{self.slapd.port}",
        ):
            with self.subTest(url):
                self.provider = self.made(url, authorities=str(other.file))
                self.assertEqual(await self.answer("romeo", "but soft"), AWAY)

    async def test_no_tls(self) -> None:
        """A server that answers StartTLS and goes on in the clear gets no password."""
        seen: list[bytes] = []
        port = _fake(self, _START_TLS + _BOUND, seen)
        self.provider = self.made(f"ldap://localhost:{port}")
        self.assertEqual(await self.answer("romeo", "but soft"), AWAY)
        self.assertNotIn(b"looks only", b"".join(seen))


_START_TLS = bytes.fromhex("300c02010178070a010004000400")
_BOUND = bytes.fromhex("300c02010261070a010004000400")


def _fake(case: DirectoryCase, answer: bytes, seen: list[bytes]) -> int:
    """A port where anything that is said gets the same answer."""
    listening = socket.create_server((HOST, 0))
    case.addCleanup(listening.close)

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with closing(connection):
                connection.settimeout(10)
                try:
                    while data := connection.recv(65_536):
                        seen.append(data)
                        # The number of the question is that of the answer.
                        number = data[2:5] if data[2:4] == b"\x02\x01" else answer[2:5]
                        connection.sendall(answer[:2] + number + answer[5:])
                except OSError:
                    continue

    Thread(target=serve, daemon=True).start()
    return int(listening.getsockname()[1])


class EndlessTests(SynchronousTestCase):
    """A message that does not end."""

    def test_too_large(self) -> None:
        """The connection is ended when more has come than a message may have."""
        connection = LDAPConnection()
        transport = StringTransportWithDisconnection()
        transport.protocol = connection
        connection.makeConnection(transport)
        connection.dataReceived(b"\x30\x84\x7f\xff\xff\xff" + bytes(MAX_ANSWER_BYTES - 6))
        self.assertFalse(transport.disconnecting)
        connection.dataReceived(b"x")
        self.assertFalse(connection.is_open)


class AwayTests(DirectoryCase):
    """A directory that does not answer (AU-4)."""

    async def test_away_and_back(self) -> None:
        """While it is away nobody's password is called wrong; when it is back, all is as before."""
        self.assertEqual(await self.answer("romeo", "but soft"), "yes")
        self.slapd.stop()
        self.assertEqual(await self.answer("romeo", "but soft"), AWAY)
        self.assertEqual(await self.answer("romeo", "wrong"), AWAY)
        self.slapd.start()
        self.assertEqual(await self.answer("romeo", "but soft"), "yes")

    async def test_started_again(self) -> None:
        """Connections that were cut meanwhile are made anew, and nobody notices."""
        self.assertEqual(await self.answer("romeo", "but soft"), "yes")
        self.slapd.stop()
        self.slapd.start()
        self.assertEqual(await self.answer("romeo", "but soft"), "yes")

    async def test_silent(self) -> None:
        """One that says nothing costs no more than its time."""
        self.provider = self.made(f"ldaps://localhost:{self.slapd.tls_port}", timeout_s=0.3)
        self.slapd.pause()
        self.assertEqual(await self.answer("romeo", "but soft"), AWAY)

    async def test_in_order(self) -> None:
        """The first that answers is asked; one that failed is left for a while."""
        second = SlapdProcess({"romeo": "second"})
        self.addCleanup(second.remove)
        second.start()
        gone = f"ldap://localhost:{free_port()}"
        self.provider = self.made(gone, second.socket_url, self.slapd.socket_url)
        self.assertEqual(await self.answer("romeo", "second"), "yes")
        first, *_ = self.reading._servers
        self.assertGreater(first.rests_until, self.provider._clock.seconds())
        second.stop()
        self.assertEqual(await self.answer("romeo", "but soft"), "yes")

    async def test_wrong_reader(self) -> None:
        """A reader whom the directory does not know is the administrator's mistake: nobody's
        password is called wrong.
        """
        self.provider = self.made(self.slapd.socket_url, bind_dn="cn=stranger,dc=verona,dc=lit")
        self.assertEqual(await self.answer("romeo", "but soft"), AWAY)

    async def test_no_ldap(self) -> None:
        """One that speaks something else is away."""
        for answer in (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\x30\x84\x7f\xff\xff\xff" + b"x" * 90,
        ):
            with self.subTest(answer[:4]):
                port = _fake(self, answer, [])
                self.provider = self.made(f"ldap://{HOST}:{port}", tls=False, timeout_s=0.5)
                self.assertEqual(await self.answer("romeo", "but soft"), AWAY)


class PoolTests(DirectoryCase):
    """Connections that are kept."""

    async def test_kept(self) -> None:
        """Logins one after the other use one connection of each kind."""
        for _ in range(5):
            await self.answer("romeo", "but soft")
        for directory in (self.reading, self.trying):
            self.assertEqual(len(directory._servers[0]._all), 1)

    async def test_bounded(self) -> None:
        """However many log in at once, there are only so many; all are let in."""
        logins = [
            Deferred.fromCoroutine(self.answer("romeo", "but soft"))
            for _ in range(4 * MAX_CONNECTIONS)
        ]
        self.assertEqual(set(await gatherResults(logins)), {"yes"})
        self.assertLessEqual(len(self.trying._servers[0]._all), MAX_CONNECTIONS)

    async def test_too_many(self) -> None:
        """Whoever does not get a turn in time is told to try again."""
        directory = self.trying
        directory._settings = self.settings(self.slapd.socket_url, timeout_s=0.2)
        never = [directory._turns.acquire() for _ in range(MAX_CONNECTIONS)]
        asked = Deferred.fromCoroutine(directory.ask(lambda asked: asked.bind("", "")))
        await self.assertFailure(asked, LDAPAway)
        for _ in never:
            directory._turns.release()

    async def test_unused(self) -> None:
        """A connection that nobody used for a while is not trusted."""
        await self.answer("romeo", "but soft")
        server = self.trying._servers[0]
        ((before, since),) = server._idle
        server._idle[:] = [(before, since - 100.0)]
        await self.answer("romeo", "but soft")
        self.assertNotIn(before, server._all)


__all__ = [
    "AwayTests",
    "EndlessTests",
    "PasswordTests",
    "PoolTests",
    "RefusalTests",
    "TLSTests",
    "TellTaleTests",
]
