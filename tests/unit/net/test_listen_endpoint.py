"""Doors, as they are configured."""

import re
from pathlib import Path
from typing import Literal, cast

from msgspec import convert
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorCore
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase

from xmppd.config.config import Config, DomainSettings, ListenSettings, StreamSettings
from xmppd.net.certificate import make_self_signed
from xmppd.net.epoll_endpoint import EPollServerEndpoint
from xmppd.net.listen_endpoint import ListenEndpoint, ListenError, certificates, listen_endpoints

REACTOR = cast(IReactorCore, reactor)


class OpenTests(TestCase):
    async def test_open(self) -> None:
        """A door tells where it listens while it is open, and may be opened once at a time."""
        for endpoint in ("epoll:0:interface=127.0.0.1", "tcp:0:interface=127.0.0.1"):
            with self.subTest(endpoint):
                door = ListenEndpoint(ListenSettings(endpoint=endpoint), StreamSettings(), REACTOR)
                self.assertEqual(door.where, "")
                await door.open(Factory.forProtocol(Protocol))
                self.assertRegex(door.where, r"^127\.0\.0\.1:\d+$")
                again = ListenEndpoint(
                    ListenSettings(endpoint=endpoint.replace("0", door.where[10:], 1)),
                    StreamSettings(),
                    REACTOR,
                )
                error = await self.assertFailure(
                    Deferred.fromCoroutine(again.open(Factory.forProtocol(Protocol))), ListenError
                )
                self.assertIn("already in use", str(error))
                await door.close()
                await door.close()
                self.assertEqual(door.where, "")

    async def test_no_port(self) -> None:
        """A number that no port has is refused, and not cut down to one that some port has."""
        with self.assertRaisesRegex(ListenError, "from 0 to 65535"):
            ListenEndpoint(ListenSettings(endpoint="epoll:99999"), StreamSettings(), REACTOR)
        door = ListenEndpoint(ListenSettings(endpoint="tcp:99999"), StreamSettings(), REACTOR)
        opened = Deferred.fromCoroutine(door.open(Factory.forProtocol(Protocol)))
        error = await self.assertFailure(opened, ListenError)
        self.assertIn("0-65535", str(error))

    async def test_address_of_others(self) -> None:
        """Nobody is sent to look for a program that uses a port, where none does."""
        for kind in ("epoll", "tcp"):
            listen = ListenSettings(endpoint=f"{kind}:0:interface=192.0.2.1")
            door = ListenEndpoint(listen, StreamSettings(), REACTOR)
            opened = Deferred.fromCoroutine(door.open(Factory.forProtocol(Protocol)))
            error = await self.assertFailure(opened, ListenError)
            self.assertIn("use one of the addresses that this machine has", str(error))
            self.assertNotIn("stop the program", str(error))

    async def test_ipv6(self) -> None:
        """An IPv6 address stands in brackets."""
        door = ListenEndpoint(
            ListenSettings(endpoint=r"epoll:0:interface=\:\:1"), StreamSettings(), REACTOR
        )
        try:
            await door.open(Factory.forProtocol(Protocol))
        except ListenError as error:
            self.skipTest(f"there is no IPv6 here: {error}")
        self.assertRegex(door.where, r"^\[::1\]:\d+$")
        await door.close()


class ConfiguredTests(SynchronousTestCase):
    def limits(self, endpoint: str) -> int:
        config = Config(
            listen=(ListenSettings(endpoint=endpoint),),
            stream=StreamSettings(max_queued_bytes=77_777),
        )
        (door,) = listen_endpoints(config, REACTOR)
        made = door.endpoint
        assert isinstance(made, EPollServerEndpoint)
        return made.limits.max_queued_bytes

    def test_queue(self) -> None:
        """What a slow reader may have queued is as configured, unless the endpoint says more."""
        self.assertEqual(self.limits("epoll:5222"), 77_777)
        self.assertEqual(self.limits("epoll:5222:max_queued_bytes=88888"), 88_888)

    def test_behind_a_proxy(self) -> None:
        """PROXY works with either endpoint, held to the same rules, and not ahead of direct TLS."""
        listed: tuple[tuple[str, Literal["starttls", "direct"], str], ...] = (
            ("haproxy:tcp:0", "starttls", ""),
            ("haproxy:epoll:0", "starttls", ""),
            ("haproxy:epoll:0", "direct", 'cannot have listen.tls = "direct"'),
            ("haproxy:ssl:0", "starttls", "would do its own TLS"),
            ("haproxy:nonsense:0", "starttls", "is not a valid endpoint"),
            ("epoll:xmpp", "starttls", 'is not a valid endpoint; write it as "epoll:5222"'),
            ("epoll:5222:foo=1", "starttls", 'not a valid endpoint (unknown argument "foo")'),
            ("systemd:domain=INET:index=0", "starttls", "a socket that systemd has not passed"),
            (
                "epoll:5222:interface=::1",
                "starttls",
                r"is not a valid endpoint; write it as 'epoll:5222:interface=\:\:1'",
            ),
        )
        for endpoint, tls, mistake in listed:
            with self.subTest(endpoint, tls=tls):
                listen = convert({"endpoint": endpoint, "tls": tls}, ListenSettings)
                if mistake:
                    with self.assertRaisesRegex(ListenError, re.escape(mistake)):
                        ListenEndpoint(listen, StreamSettings(), REACTOR)
                else:
                    ListenEndpoint(listen, StreamSettings(), REACTOR)

    def test_certificates(self) -> None:
        """A key may lie in the certificate's file; a domain without a certificate shows none."""
        bare = DomainSettings(name="a.lit")
        self.assertIsNone(certificates(Config(domain=(bare,))).tls)
        path = Path(self.mktemp())
        make_self_signed("b.lit", path, path.with_suffix(".key"))
        path.write_bytes(path.read_bytes() + path.with_suffix(".key").read_bytes())
        tls = certificates(
            Config(domain=(bare, DomainSettings(name="b.lit", certificate=str(path))))
        ).tls
        assert tls is not None
        self.assertIsNone(tls.identity("a.lit"))
        self.assertIsNotNone(tls.identity("b.lit"))
