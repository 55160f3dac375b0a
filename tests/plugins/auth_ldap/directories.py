"""What the tests of auth_ldap share: a real directory with people in it, and who asks it."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import TestCase

from tests.slapd_server import BASE, GROUPS, PEOPLE, READER, SlapdProcess
from xmppd.auth.base import SASLError
from xmppd.net.outgoing_trust import trust_root
from xmppd_plugins.auth_ldap.directory import LDAPDirectory
from xmppd_plugins.auth_ldap.provider import LDAPAuthProvider
from xmppd_plugins.auth_ldap.settings import AuthLDAPSettings

DOMAIN = "verona.lit"
CLOCK = cast(IReactorTime, reactor)
MODEST: dict[str, Any] = {
    "base": PEOPLE,
    "group_base": GROUPS,
    "bind_dn": READER,
    "refusal_s": 0.01,
}


def account(name: str) -> str:
    """Somebody's address."""
    return f"{name}@{DOMAIN}"


class DirectoryCase(TestCase):
    """A slapd, and a provider that asks it."""

    timeout = 120
    people: Mapping[str, str] = {"romeo": "but soft", "juliet": "wherefore"}
    groups: Mapping[str, Sequence[str]] = {}

    def setUp(self) -> None:
        self.slapd = self.slapd_of(self.people, self.groups)
        self.provider = self.made(f"ldaps://localhost:{self.slapd.tls_port}")

    def slapd_of(
        self,
        people: Mapping[str, str],
        groups: Mapping[str, Sequence[str]] | None = None,
        *,
        name: str = "localhost",
    ) -> SlapdProcess:
        """A directory that answers."""
        slapd = SlapdProcess(people, groups, name=name)
        self.addCleanup(slapd.remove)
        slapd.start()
        return slapd

    def settings(self, *servers: str, **others: Any) -> AuthLDAPSettings:
        """The table, for these servers."""
        known = {
            **MODEST,
            "authorities": str(self.slapd.authority.file),
            "secret_file": str(self.slapd.reader_file),
        }
        return AuthLDAPSettings(servers=servers, **{**known, **others})

    def made(self, *servers: str, **others: Any) -> LDAPAuthProvider:
        """A provider that asks these servers."""
        settings = self.settings(*servers, **others)
        trust, secret = trust_root(settings.authorities), "looks only"
        self.reading = LDAPDirectory(settings, secret, trust, CLOCK, as_reader=True)
        self.trying = LDAPDirectory(settings, "", trust, CLOCK, as_reader=False)
        for directory in (self.reading, self.trying):
            self.addCleanup(directory.close)
        return LDAPAuthProvider(settings, self.reading, self.trying, CLOCK)

    async def answer(self, name: str, password: str) -> str:
        """What somebody gets to hear: yes, no, or the condition of a failure."""
        try:
            is_right = await self.provider.check_password(account(name), password)
        except SASLError as error:
            return error.condition
        return "yes" if is_right else "no"


__all__ = ["BASE", "CLOCK", "DOMAIN", "DirectoryCase", "account"]
