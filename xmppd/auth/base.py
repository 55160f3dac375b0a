"""What a SASL mechanism and an authentication provider are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from xmppd.store.base import ScramKeys


class SASLError(Exception):
    """The peer did not prove who it is.

    Args:
        condition: A SASL failure condition of :rfc:`6120#section-6.5`, such as ``not-authorized``.
        text: A sentence for people; never says whether the account exists.
        account: The bare JID that was tried, for counting; None if none was named.
    """

    def __init__(
        self, condition: str, text: str | None = None, *, account: str | None = None
    ) -> None:
        super().__init__(condition, text)
        self.condition = condition
        self.text = text
        self.account = account


@dataclass(frozen=True)
class Exchange:
    """What a mechanism may know about the stream it runs on.

    Attributes:
        domain: The domain the stream was opened to, prepared.
        address: The peer's IP address.
        encrypted: Whether TLS is on.
        bindings: Channel binding data by type, such as ``tls-exporter``; empty without TLS.
        offered: Mechanisms offered on this stream, in order (:xep:`0474`).
        offered_bindings: Binding types offered, in order (:xep:`0440`).
        certificate_addresses: JIDs that the peer's verified client certificate names.
    """

    domain: str
    address: str = ""
    encrypted: bool = False
    bindings: Mapping[str, bytes] = field(default_factory=dict)
    offered: tuple[str, ...] = ()
    offered_bindings: tuple[str, ...] = ()
    certificate_addresses: tuple[str, ...] = ()


class AuthProvider(Protocol):
    """Where accounts and their proofs are: SQL here, LDAP or tokens in a plugin."""

    async def scram_keys(self, account: str, hash: str) -> ScramKeys:
        """The keys to run SCRAM with.

        For an account that does not exist (or may not log in) keys nobody can satisfy, always the
        same for the same name, so that it looks like any other.
        """

    async def check_password(self, account: str, password: str) -> bool:
        """Whether this is the account's password, in the same time whether it exists or not."""

    async def may_log_in(self, account: str) -> bool:
        """Whether the account exists and is neither disabled nor locked: asked after its proof."""


class Mechanism(Protocol):
    """One SASL exchange, bytes in and bytes out; made anew for each attempt."""

    async def step(self, response: bytes) -> bytes:
        """Take the peer's message and return the next challenge, or the last data of a success.

        Raises:
            SASLError: The attempt is over.
        """

    @property
    def account(self) -> str | None:
        """The bare JID that has proved itself; None while it has not."""
