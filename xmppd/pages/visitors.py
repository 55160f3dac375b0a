"""Visitors: those who look at pages, and how they are known from one click to the next (CN-2)."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from secrets import token_bytes, token_urlsafe

from twisted.logger import Logger

from xmppd.account.stream_ends import StreamEnds
from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.base import AuthProvider, Exchange, SASLError, while_store_answers
from xmppd.command.command_context import Actor
from xmppd.command.roles import Roles
from xmppd.host.clocks import Clocks
from xmppd.stanza import JID, StreamError
from xmppd.web.request import HTTPRequest

IDLE_S = 1_800.0
"""Who does nothing for so long has to log in again."""

LONGEST_S = 43_200.0
"""So has everybody after that."""

PROOF_S = 600.0
"""What cannot be undone asks for the password again, if it was not given for so long (CN-6)."""

MAX_VISITORS = 1_000
"""Who are known at the same time; with more, the one who did nothing for longest is forgotten."""

LINK_S = 300.0
"""A link by which somebody comes without a password is good for so long, and once."""

MAX_LINKS = 100
"""Links that are good at the same time; with more, the oldest is not any more."""

NO_PASSWORDS = "invalid-mechanism"
"""The condition of an error for people whose domain has no passwords."""

MAX_MESSAGES = 10
"""What a visitor is told with the next page."""

COOKIE = "xmppd"
_HERE = frozenset(("localhost", "127.0.0.1", "::1", "[::1]"))

_log = Logger()


@dataclass(slots=True)
class PageVisitor:
    """Somebody who has logged in to look at pages.

    Attributes:
        account: Bare JID.
        since: When that was, on the steady clock.
        used: The time of the last click.
        proved: When the password was last given.
        began: The moment of the login, for :meth:`~xmppd.account.stream_ends.StreamEnds.check`.
        messages: What the next page says first.
    """

    account: JID
    since: float
    used: float
    proved: float
    began: int
    messages: list[str]

    def tell(self, sentence: str) -> None:
        """Have the next page say something."""
        if len(self.messages) < MAX_MESSAGES:
            self.messages.append(sentence)


class Visitors:
    """All who look at pages, on this node; only digests of their cookies are kept.

    Args:
        provider: Knows the accounts.
        attempts: Slows guessing down, for pages and streams together.
        ends: Knows whose password has changed, or who may not log in any more.
        roles: Say what they may do.
        clocks: Tell how long somebody did nothing.
        domains: Ours.
    """

    def __init__(
        self,
        provider: AuthProvider,
        attempts: AttemptLimiter,
        ends: StreamEnds,
        roles: Callable[[], Roles],
        clocks: Clocks,
        domains: tuple[str, ...],
    ) -> None:
        self._provider = provider
        self._attempts = attempts
        self._ends = ends
        self._roles = roles
        self._clocks = clocks
        self._domains = domains
        self._key = token_bytes(32)
        self._visitors: dict[bytes, PageVisitor] = {}
        self._links: dict[bytes, tuple[JID, int, float]] = {}

    def __len__(self) -> int:
        return len(self._visitors)

    # -- who is there -----------------------------------------------------------------------------

    async def log_in(self, name: str, password: str, request: HTTPRequest) -> str:
        """Let somebody in.

        Args:
            name: An account; the first domain may be left out.
            password: Its password.
            request: By which it came.

        Returns:
            The cookie by which they are known from now on.

        Raises:
            SASLError: They are not, for a reason that they may know.
        """
        began = self._ends.now()
        return self._let_in(await self._proved(name, password, request), began)

    def _let_in(self, account: JID, began: int) -> str:
        now = self._clocks.seconds()
        cookie = token_urlsafe(32)
        self._visitors[_digest(cookie)] = PageVisitor(account, now, now, now, began, [])
        if len(self._visitors) > MAX_VISITORS:
            del self._visitors[min(self._visitors, key=lambda each: self._visitors[each].used)]
        return cookie

    def make_link(self, account: JID) -> str:
        """What is behind ``#`` in a link by which somebody comes without a password."""
        token = token_urlsafe(32)
        until = self._clocks.seconds() + LINK_S
        self._links[_digest(token)] = account, self._ends.now(), until
        if len(self._links) > MAX_LINKS:
            del self._links[next(iter(self._links))]
        return token

    async def come_by(self, token: str) -> str | None:
        """The cookie of somebody who comes by a link; None if it is not good (any more).

        Raises:
            SASLError: Their account is closed.
        """
        account, began, until = self._links.pop(_digest(token), (None, 0, 0.0))
        if account is None or self._clocks.seconds() >= until:
            return None
        with while_store_answers():
            if not await self._provider.may_log_in(account.bare):
                return None
        cookie = self._let_in(account, began)
        return cookie if self.known(cookie) is not None else None  # its streams were ended since

    def has_passwords(self, account: JID) -> bool:
        """Whether somebody's domain has passwords."""
        return self._provider.has_passwords(account.domain)

    @property
    def any_passwords(self) -> bool:
        """Whether a domain has some."""
        return any(map(self._provider.has_passwords, self._domains))

    async def prove(self, visitor: PageVisitor, password: str, request: HTTPRequest) -> None:
        """Note that a visitor has given the password again. Whoever has none has to have come a
        short while ago.

        Raises:
            SASLError: It is not the right one.
        """
        if not self.has_passwords(visitor.account) and self.has_proved(visitor):
            return
        await self._proved(visitor.account.bare, password, request)
        visitor.proved = self._clocks.seconds()

    def has_proved(self, visitor: PageVisitor) -> bool:
        """Whether a visitor has given the password lately."""
        return self._clocks.seconds() - visitor.proved < PROOF_S

    async def _proved(self, name: str, password: str, request: HTTPRequest) -> JID:
        local, _, domain = name.strip().rpartition("@") if "@" in name else (name.strip(), "", "")
        domain = domain.lower() or self._domains[0]
        address = request.address
        try:
            if domain not in self._domains:
                await self._attempts.failed(None, address)
                raise SASLError("not-authorized", "The credentials are invalid.")
            if not self._provider.has_passwords(domain):
                raise SASLError(NO_PASSWORDS, "This domain has no passwords.")
            exchange = Exchange(domain, address, encrypted=True, offered=("PLAIN",))
            mechanism = self._attempts.begin("PLAIN", exchange, self._provider)
            with while_store_answers():
                await mechanism.step(f"\0{local}\0{password}".encode())
        except SASLError as error:
            _log.info(
                "{address} failed to log in to pages: {condition}",
                address=address, condition=error.condition,
            )  # fmt: skip
            raise
        assert mechanism.account is not None, "PLAIN has one step"
        return JID.parse(mechanism.account)

    def find(self, cookie: str) -> PageVisitor | None:
        """Whoever has this cookie and clicks, if they may still come (:meth:`known`)."""
        visitor = self.known(cookie)
        if visitor is not None:
            visitor.used = self._clocks.seconds()
        return visitor

    def known(self, cookie: str) -> PageVisitor | None:
        """Whoever has this cookie, if they may still come: their time is not over, and nothing has
        ended all that was begun with their password.
        """
        digest = _digest(cookie)
        visitor = self._visitors.get(digest)
        if visitor is None:
            return None
        now = self._clocks.seconds()
        try:
            self._ends.check(visitor.account, visitor.began)
        except StreamError:
            over = True
        else:
            over = now - visitor.used >= IDLE_S or now - visitor.since >= LONGEST_S
        if over:
            del self._visitors[digest]
            return None
        return visitor

    def actor(self, visitor: PageVisitor, address: str) -> Actor:
        """A visitor as whoever gives commands: what they may do is looked up with each click."""
        scopes = self._roles().scopes_of(visitor.account)
        return Actor(visitor.account, scopes, "console", address=address)

    def log_out(self, cookie: str) -> None:
        """Forget a visitor."""
        self._visitors.pop(_digest(cookie), None)

    def log_out_everywhere(self, account: JID) -> int:
        """Forget all visitors of an account; returns their number."""
        found = [key for key, each in self._visitors.items() if each.account == account]
        for key in found:
            del self._visitors[key]
        return len(found)

    # -- forms ------------------------------------------------------------------------------------

    def form_token(self, cookie: str) -> str:
        """What forms have in them that are shown to whoever has this cookie (CN-3)."""
        return hmac.digest(self._key, cookie.encode(), "sha256").hex()

    def is_form_of(self, cookie: str, token: str) -> bool:
        """Whether a form was shown to whoever has this cookie."""
        return hmac.compare_digest(self.form_token(cookie).encode(), token.encode())


def is_private(request: HTTPRequest) -> bool:
    """Whether a password may come this way: by TLS, or on the machine itself. What a proxy passes
    on is from elsewhere, and says so.
    """
    if request.encrypted:
        return True
    if request.header("x-forwarded-for") or request.header("forwarded"):
        return False
    try:
        return ip_address(request.address).is_loopback and request.host in _HERE
    except ValueError:
        return False


def cookie_name(request: HTTPRequest) -> str:
    """The name of the cookie; by TLS it is one that no other host can set."""
    return f"__Host-{COOKIE}" if request.encrypted else COOKIE


def cookie_of(request: HTTPRequest, name: str) -> str:
    """The value of a cookie; empty without one."""
    for pair in request.header("cookie").replace(",", ";").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value
    return ""


def set_cookie(request: HTTPRequest, value: str) -> tuple[str, str]:
    """The header that sets the cookie; an empty value takes it away."""
    secure = "; Secure" if request.encrypted else ""
    age = "" if value else "; Max-Age=0"
    text = f"{cookie_name(request)}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{age}"
    return "Set-Cookie", text


def _digest(cookie: str) -> bytes:
    return sha256(cookie.encode()).digest()


__all__ = [
    "IDLE_S",
    "LINK_S",
    "LONGEST_S",
    "MAX_LINKS",
    "MAX_VISITORS",
    "NO_PASSWORDS",
    "PROOF_S",
    "PageVisitor",
    "Visitors",
    "cookie_name",
    "cookie_of",
    "is_private",
    "set_cookie",
]
