"""The interfaces of SASL mechanisms and authentication providers."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ParamSpec, Protocol, TypeVar

from xmppd.store.errors import STORE_FAILS, StoreError
from xmppd.store.scram_keys import ScramKeys

P = ParamSpec("P")
T = TypeVar("T")


class RunInThread(Protocol):
    """Runs PBKDF2 elsewhere, so that the reactor does not wait for it: ``deferToThreadPool``, bound
    to its pool.
    """

    def __call__(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Awaitable[T]:
        """Call the function elsewhere and return its result."""


class SASLError(Exception):
    """A failed authentication.

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


class BindingRefused(SASLError):
    """A channel binding that this stream does not have, or none where there is one: refused before
    anything was proved, so no guess (AT-7).
    """

    def __init__(self, text: str) -> None:
        super().__init__("not-authorized", text)


@contextmanager
def while_store_answers() -> Iterator[None]:
    """A context in which a failure of the store is a login to be tried again, and no guess.

    Raises:
        SASLError: ``temporary-auth-failure``: the store failed (:rfc:`6120#section-6.5.11`).
    """
    try:
        yield
    except StoreError as error:
        raise SASLError("temporary-auth-failure", STORE_FAILS) from error


@dataclass(frozen=True)
class Exchange:
    """The stream of an authentication, as far as a mechanism may know it.

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

    def offering(self, mechanisms: tuple[str, ...]) -> "Exchange":
        """The same, once these mechanisms were offered, and all bindings that there are."""
        return Exchange(
            self.domain, self.address, self.encrypted, self.bindings,
            mechanisms, tuple(self.bindings), self.certificate_addresses,
        )  # fmt: skip


@dataclass(frozen=True)
class BearerGrant:
    """What a token of somebody else grants (:rfc:`6750`).

    Attributes:
        account: Bare JID.
        proof: Names the token, and cannot be used as one.
        used_by: Is told who has logged in by it: the id of an installation, empty if it has none.
    """

    account: str
    proof: str = ""
    used_by: Callable[[str], None] = lambda device: None


class AuthProvider:
    """Knows accounts and their proofs: our own store, or a part that asks somebody else, whom
    ``domain.auth`` names. What it does not know is not offered.

    Attributes:
        name: As ``domain.auth`` names it.
    """

    name: str = ""

    def has_keys(self, domain: str) -> bool:
        """Whether it has keys for SCRAM; else its accounts log in with their password (PLAIN)."""
        return False

    def missing_hashes(self, domain: str) -> frozenset[str]:
        """The hashes of which it has no keys of some accounts, though it has others of these."""
        return frozenset()

    async def scram_keys(self, account: str, hash: str) -> ScramKeys:
        """The keys to run SCRAM with; is not asked if it has none.

        For an account that does not exist keys nobody can satisfy, always the same for the same
        name, so that it looks like any other.
        """
        raise SASLError("invalid-mechanism", "The account has no keys.")

    async def check_password(self, account: str, password: str) -> bool:
        """Whether this is the account's password, in the same time whether it exists or not.

        Args:
            account: Bare JID.
            password: As it was given, and not empty.

        Raises:
            SASLError: ``temporary-auth-failure``: nobody can say now.
        """
        raise NotImplementedError

    def has_passwords(self, domain: str) -> bool:
        """Whether its accounts have passwords; else it is not asked about one."""
        return True

    def takes_tokens(self, domain: str) -> bool:
        """Whether it knows accounts by tokens that somebody else has given them (OAUTHBEARER)."""
        return False

    async def check_token(self, domain: str, token: str) -> BearerGrant | None:
        """What a token grants at a domain; None for nothing.

        Raises:
            SASLError: ``temporary-auth-failure``: nobody can say now.
        """
        raise SASLError("invalid-mechanism", "This server does not accept tokens.")

    def token_hints(self, domain: str) -> Mapping[str, str]:
        """What a client is told whose token does not do, such as where it gets one
        (:rfc:`7628#section-3.2.2`).
        """
        return {}

    async def may_log_in(self, account: str) -> bool:
        """Whether the account exists and is not disabled: asked after its proof.

        Raises:
            SASLError: ``account-disabled``: an administrator closed it. Only a client that has
                proved to be its owner hears so.
        """
        raise NotImplementedError


class Mechanism(Protocol):
    """One SASL exchange, bytes in and bytes out; made anew for each attempt.

    In all of ours the client speaks first (:rfc:`4422#section-3.3`). An ``<auth/>`` without an
    initial response is answered with an empty challenge, which is no step; an empty message
    (``=``) is one.
    """

    async def step(self, response: bytes) -> bytes:
        """Take the peer's message and return the next challenge, or the last data of a success.

        It was a success if :attr:`account` is no longer None.

        Raises:
            SASLError: The attempt is over.
        """

    @property
    def account(self) -> str | None:
        """The bare JID that has proved itself; None while it has not."""

    @property
    def binding(self) -> str:
        """The type of channel binding that the proof is bound to; empty if it is to none."""
