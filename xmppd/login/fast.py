"""FAST (:xep:`0484`): tokens by which a device logs in in one round trip."""

from weakref import WeakSet

from xmppd.auth.base import AuthProvider, Exchange, Mechanism, SASLError
from xmppd.auth.hashed_token import Claim, HashedTokenMechanism, usable
from xmppd.auth.login import Login, UserAgent
from xmppd.auth.provider import Passwords
from xmppd.auth.tokens import Issued, Tokens
from xmppd.login.authentication import Authentication
from xmppd.stanza import JID, Tree, qname
from xmppd.stanza.date_time import date_time
from xmppd.store.errors import StoreError
from xmppd.stream.inline_feature import InlineFeature, InlinePlace
from xmppd.stream.stream_feature import Negotiation

NS = "urn:xmpp:fast:0"
FAST_ELEMENT = qname(NS, "fast")
MAX_COUNT = 2**31 - 1
_TRUE = ("1", "true")


class FAST:
    """Issues and accepts tokens; all streams share one.

    Args:
        tokens: The tokens.
        authentication: Knows the offers of a stream.
        provider: Says whether an account may log in.
        passwords: Knows who else keeps the password of an account.
    """

    def __init__(
        self,
        tokens: Tokens,
        authentication: Authentication,
        provider: AuthProvider,
        passwords: Passwords,
    ) -> None:
        self.tokens = tokens
        self.authentication = authentication
        self.provider = provider
        self.passwords = passwords
        self._given: WeakSet[Negotiation] = WeakSet()

    def feature(self) -> InlineFeature:
        """Its inline feature."""
        return InlineFeature(
            InlinePlace.AUTHENTICATE,
            self.advertise,
            (
                (qname(NS, "request-token"), self.request_token),
                (FAST_ELEMENT, self.follow_up),
            ),
        )

    def advertise(self, negotiation: Negotiation) -> bytes:
        """The mechanisms for tokens that this stream may use; TLS early data is not accepted."""
        names = self._usable(negotiation)
        listed = "".join(f"<mechanism>{name}</mechanism>" for name in names)
        return f"<fast xmlns='{NS}'>{listed}</fast>".encode() if names else b""

    def _usable(self, negotiation: Negotiation) -> tuple[str, ...]:
        return usable(self.tokens.settings.mechanisms, self.authentication.offer(negotiation))

    # -- logging in by a token ------------------------------------------------------------------

    def mechanism(
        self, name: str, exchange: Exchange, agent: UserAgent, element: Tree
    ) -> Mechanism:
        """An exchange by a token; nobody guesses one, so it neither waits nor counts (FA-6).

        Args:
            name: The mechanism that the client chose.
            exchange: The stream.
            agent: The client.
            element: Its ``<fast/>``.

        Raises:
            SASLError: It was not offered, or the request makes no sense.
        """
        if name not in usable(self.tokens.settings.mechanisms, exchange):
            raise SASLError("invalid-mechanism", "This mechanism was not offered.")
        if not agent.id:
            raise SASLError("malformed-request", "A client that uses a token must send its id.")
        claim = Claim(agent.id, _count(element))
        return HashedTokenMechanism(name, exchange, self.provider, self.tokens, claim)

    async def follow_up(self, negotiation: Negotiation, element: Tree) -> bytes:
        """Forget the token that was used, if the client says so, or replace it, if it is time."""
        account, login = negotiation.session.account, negotiation.session.login
        if account is None or login is None or not login.by_token:
            return b""
        if element.get("invalidate") in _TRUE:
            await self.tokens.invalidate(account.bare, login.agent.id)
            return b""
        if negotiation in self._given:
            return b""
        try:
            expires = await self._end_of(account, login)
            issued = await self.tokens.follow_up(account.bare, login.agent, expires)
        except StoreError:
            return b""  # it goes on with the token it has
        return b"" if issued is None else _token(issued)

    # -- getting one ----------------------------------------------------------------------------

    async def request_token(self, negotiation: Negotiation, element: Tree) -> bytes:
        """Give a token to a client that has proved itself and says which client it is.

        Without a token, as for guests, nothing is answered: the protocol has no way to. The login
        goes on all the same, also if the store fails.
        """
        try:
            return await self._issued(negotiation, element.get("mechanism", ""))
        except StoreError:
            return b""

    async def _issued(self, negotiation: Negotiation, name: str) -> bytes:
        account, login = negotiation.session.account, negotiation.session.login
        if (
            account is None
            or login is None
            or not login.agent.id
            or name not in usable(self.tokens.settings.mechanisms, self._exchange(negotiation))
            or not await self.provider.may_log_in(account.bare)
        ):
            return b""
        self._given.add(negotiation)
        expires = await self._end_of(account, login)
        return _token(await self.tokens.issue(account.bare, login.agent, name, expires))

    async def _end_of(self, account: JID, login: Login) -> float | None:
        """When a new token ends: not later than the one by which the client has come, where others
        keep the password, who may have closed the account meanwhile (FA-3); else None.
        """
        if not login.by_token or not await self.passwords.keeper(account.bare):
            return None
        return await self.tokens.expiry(account.bare, login.agent.id)

    def _exchange(self, negotiation: Negotiation) -> Exchange:
        return self.authentication.exchange_of(negotiation)


def _count(element: Tree) -> int | None:
    """The number of uses of the token, as the client counts them."""
    text = element.get("count")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= MAX_COUNT):
        raise SASLError("malformed-request", "The count must be a number.")
    return int(text)


def _token(issued: Issued) -> bytes:
    expiry = date_time(issued.expires)
    return f"<token xmlns='{NS}' expiry='{expiry}' token='{issued.text}'/>".encode()
