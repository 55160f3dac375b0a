"""Passwords from an HTTP service, over real connections on this machine."""

import json
from pathlib import Path
from typing import cast

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from xmppd.auth.base import SASLError
from xmppd_plugins.auth_http import AuthHTTPSettings, HTTPAuthProvider, plug

ROMEO = "romeo@montague.lit"


class Service(Resource):
    """Answers what a test wants, and keeps what it was asked."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[dict[str, str]] = []
        self.secrets: list[str | None] = []
        self.status = 200
        self.silent = False
        self.waiting: list[Request] = []

    def render_POST(self, request: Request) -> bytes | int:
        """Answer, or not."""
        body = request.content
        assert body is not None
        self.asked.append(json.loads(body.read()))
        self.secrets.append(request.getHeader("authorization"))
        if self.silent:
            self.waiting.append(request)
            return NOT_DONE_YET
        request.setResponseCode(self.status)
        return b"x" * 100_000


class ServiceTests(TestCase):
    """HTTPAuthProvider."""

    timeout = 30

    def setUp(self) -> None:
        self.service = Service()
        site = cast(ServerFactory, Site(self.service))
        self.port = cast(IReactorTCP, reactor).listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(self.port.stopListening)
        secret = Path(self.mktemp()).absolute()
        secret.write_text("known to both\n", encoding="utf-8")
        port = self.port.getHost().port  # type: ignore[attr-defined]  # it is an IPv4Address
        self.provider = self.made(
            AuthHTTPSettings(
                url=f"http://127.0.0.1:{port}/check",
                secret_file=str(secret),
                timeout_s=0.2,
                failures_before_pause=2,
                pause_s=60.0,
            )
        )

    def made(self, settings: AuthHTTPSettings) -> HTTPAuthProvider:
        provider, unload = plug(settings, cast(IReactorTime, reactor))
        assert isinstance(provider, HTTPAuthProvider)
        self.addCleanup(unload.call)  # type: ignore[union-attr]  # it is an AtUnload
        return provider

    async def refused(self) -> str:
        """The condition of a failure."""
        try:
            await self.provider.check_password(ROMEO, "but soft")
        except SASLError as error:
            return error.condition
        return "none"

    async def test_answers(self) -> None:
        """200 is yes and 403 no; the service is told all it needs, and knows us by a secret."""
        self.assertTrue(await self.provider.check_password(ROMEO, "but söft"))
        self.service.status = 403
        self.assertFalse(await self.provider.check_password(ROMEO, "but söft"))
        said = {"account": ROMEO, "user": "romeo", "domain": "montague.lit", "password": "but söft"}
        self.assertEqual(self.service.asked, [said, said])
        self.assertEqual(self.service.secrets, ["Bearer known to both"] * 2)

    async def test_nobody(self) -> None:
        """Whether somebody is there is not to be learned: the service is asked once, with the same,
        and the answer is one word, whether this server has heard of the account or not.
        """
        self.assertTrue(await self.provider.check_password(ROMEO, "but soft"))
        self.service.status = 403
        for account in (ROMEO, "nobody@montague.lit"):
            self.service.asked.clear()
            self.assertFalse(await self.provider.check_password(account, "no idea"))
            (asked,) = self.service.asked
            local, _, domain = account.partition("@")
            said = {"account": account, "user": local, "domain": domain, "password": "no idea"}
            self.assertEqual(asked, said)

    async def test_other_answers(self) -> None:
        """Any other answer is none; after some of these the service is left in peace."""
        self.service.status = 500
        conditions = [await self.refused() for _ in range(3)]
        self.assertEqual(conditions, ["temporary-auth-failure"] * 3)
        self.assertEqual(len(self.service.asked), 2)

    async def test_a_failure_between(self) -> None:
        """One that answers in between is asked on."""
        for status in (500, 200, 500, 200, 500):
            self.service.status = status
            await self.refused()
        self.assertEqual(len(self.service.asked), 5)

    async def test_silent(self) -> None:
        """One that does not answer in time costs nobody more than that."""
        self.service.silent = True
        self.assertEqual(await self.refused(), "temporary-auth-failure")

    async def test_away(self) -> None:
        """One that is not there is no reason to call a password wrong."""
        await maybeDeferred(self.port.stopListening)
        self.assertEqual(await self.refused(), "temporary-auth-failure")


class SettingTests(SynchronousTestCase):
    """The table ``[auth_http]``."""

    def test_url(self) -> None:
        """Passwords go by https, or stay on this machine."""
        AuthHTTPSettings(url="https://directory.example/check")
        AuthHTTPSettings(url="http://127.0.0.1:8080/check")
        for url in ("http://directory.example/check", "directory.example", ""):
            with self.subTest(url):
                self.assertRaises(ValueError, AuthHTTPSettings, url=url)
        self.assertRaises(
            ValueError, AuthHTTPSettings, url="https://x.example", secret_file="secret"
        )


__all__ = ["ServiceTests", "SettingTests"]
