"""LDAPConnection: one connection with a server of a directory; the one import of ldaptor."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.net.tls import tls_flaw
from xmppd.plugin.plugin_error import PluginError

try:
    from ldaptor.protocols import pureber, pureldap
    from ldaptor.protocols.ldap.ldapclient import LDAPClient
except ImportError as error:
    raise PluginError(
        f"the plugin auth_ldap needs {error.name}: pip install 'xmppd[ldap]'"
    ) from error

MAX_ANSWER_BYTES = 4_194_304
"""A message of a directory that is larger ends its connection (AU-4)."""

PAGED = b"1.2.840.113556.1.4.319"
"""The control for results in pages (:rfc:`2696`)."""

SUCCESS, NO_SUCH_OBJECT, SIZE_LIMIT_EXCEEDED, INVALID_CREDENTIALS = 0, 32, 4, 49

REFUSALS = frozenset((19, NO_SUCH_OBJECT, 34, 48, INVALID_CREDENTIALS, 50, 53))
"""What a bind is answered with by a directory that does not let this person in, whose entry may be
locked, or not be there; any other failure is one of the server (:rfc:`4511#section-4.1.9`)."""

_NOT_LDAP = (
    pureber.BERException,
    pureber.UnknownBERTag,
    AssertionError,
    AttributeError,
    KeyError,
    IndexError,
    RecursionError,
    TypeError,
    ValueError,
)


class LDAPFails(Exception):
    """An error: a server of a directory cannot answer; the text is for administrators."""


class LDAPLost(LDAPFails):
    """An error: the connection with a server is lost."""


class LDAPEntry(NamedTuple):
    """An entry that was found.

    Attributes:
        dn: Its name, as the directory writes it.
        attributes: Values by the attribute's name in small letters.
    """

    dn: bytes
    attributes: Mapping[str, tuple[bytes, ...]]


class Found(NamedTuple):
    """The answer to a search.

    Attributes:
        entries: In their order.
        cookie: Asks for the next page; empty if this was the last.
    """

    entries: list[LDAPEntry]
    cookie: bytes = b""


class Wanted(NamedTuple):
    """A question for entries. No text of anybody's becomes part of a filter's text (AU-2).

    Attributes:
        base: Below which entry.
        having: Attributes and their values; ``*`` for any value.
        name: An attribute and its value, which is taken as it is; None to look for all.
        attributes: Whose values are wanted.
    """

    base: str
    having: Mapping[str, str]
    attributes: tuple[str, ...]
    name: tuple[str, str] | None = None


@implementer(IHandshakeListener)
class LDAPConnection(LDAPClient):
    """Asks one question after the other.

    Attributes:
        is_open: Whether it may be used.
    """

    def __init__(self) -> None:
        super().__init__()
        self.is_open = True
        self._is_secured = False
        self._handshake: Deferred[None] | None = None

    def dataReceived(self, recd: bytes) -> None:
        """Take what has come, if it is LDAP, and not endless."""
        try:
            super().dataReceived(recd)
        except _NOT_LDAP:
            self.abort()
            return
        if len(self.buffer) > MAX_ANSWER_BYTES:
            self.abort()

    def unsolicitedNotification(self, msg: object) -> None:
        """Expect the end of the connection, which is all that such a message announces."""
        self.is_open = False

    def handshakeCompleted(self) -> None:
        """Note that passwords may be sent from now on."""
        self._is_secured = True
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            waiting.callback(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell whoever waits."""
        self.is_open = False
        lost = Failure(LDAPLost(tls_flaw(reason) or reason.getErrorMessage()))
        super().connectionLost(lost)
        waiting, self._handshake = self._handshake, None
        if waiting is not None:
            waiting.errback(lost)

    def abort(self) -> None:
        """End it at once."""
        self.is_open = False
        if self.connected:
            self.transport.abortConnection()

    # -- questions --------------------------------------------------------------------------------

    async def secured(self) -> None:
        """Wait until TLS has begun, by a certificate that is the right one.

        Raises:
            LDAPLost: The connection is, perhaps since the certificate is not.
        """
        if not self.is_open:
            raise LDAPLost("the directory closed the connection")
        if not self._is_secured:
            self._handshake = Deferred()
            await self._handshake

    async def start_tls(self, options: IOpenSSLClientConnectionCreator) -> None:
        """Ask for TLS, and wait until it is there: ldaptor's own function returns before that.

        Raises:
            LDAPFails: The server has none, or says something behind its answer, in the clear.
        """
        response = await self.send(pureldap.LDAPStartTLSRequest())
        if response.resultCode != SUCCESS:
            raise LDAPFails(f"the directory refused StartTLS ({_reason(response)})")
        if self.buffer:
            raise LDAPFails("the directory sent something before TLS started")
        self.transport.startTLS(options)
        await self.secured()

    async def bind(self, dn: str | bytes, password: str) -> int:
        """Give a name and a password; returns what the directory says to that."""
        response = await self.send(pureldap.LDAPBindRequest(dn=dn, auth=password))
        code = int(response.resultCode)
        if code != SUCCESS and code not in REFUSALS:
            raise LDAPFails(_reason(response))
        return code

    async def search(self, wanted: Wanted, limit: int) -> Found:
        """Find at most so many entries; more are none of these.

        Raises:
            LDAPFails: It says so.
        """
        found, response, _ = await self._search(_question(wanted, limit), None, limit)
        if response.resultCode not in (SUCCESS, SIZE_LIMIT_EXCEEDED, NO_SUCH_OBJECT):
            raise LDAPFails(_reason(response))
        return Found(found)

    async def page(self, wanted: Wanted, size: int, cookie: bytes) -> Found:
        """Find a page of entries.

        Args:
            wanted: Which.
            size: How many at most.
            cookie: That of the page before; empty for the first.

        Raises:
            LDAPFails: It says so, or gives more than was asked for.
        """
        value = pureber.BERSequence([pureber.BERInteger(size), pureber.BEROctetString(cookie)])
        control = (PAGED, True, value.toWire())
        found, response, controls = await self._search(_question(wanted, 0), [control], size)
        if response.resultCode != SUCCESS:
            raise LDAPFails(_reason(response))
        return Found(found, _cookie(controls))

    async def attribute(self, dn: bytes, attribute: str) -> LDAPEntry | None:
        """One entry with the values of one attribute; None if there is no such entry (any more).

        Raises:
            LDAPFails: It says so.
        """
        found, response, _ = await self._search(_about(dn, attribute), None, 1)
        if response.resultCode not in (SUCCESS, NO_SUCH_OBJECT):
            raise LDAPFails(_reason(response))
        return found[0] if found else None

    def _search(
        self, request: object, controls: list[tuple[bytes, bool, bytes]] | None, limit: int
    ) -> "Deferred[tuple[list[LDAPEntry], pureldap.LDAPSearchResultDone, _Controls]]":
        entries: list[LDAPEntry] = []

        def take(response: object, controls: "_Controls") -> bool:
            if isinstance(response, pureldap.LDAPSearchResultEntry):
                if len(entries) >= limit:
                    self.abort()
                entries.append(_entry(response))
                return False
            if not isinstance(response, pureldap.LDAPSearchResultDone):
                return False  # a reference to another server, where we have no business
            done.callback((entries, response, controls))
            return True

        done: Deferred[tuple[list[LDAPEntry], pureldap.LDAPSearchResultDone, _Controls]]
        done = self.send_multiResponse_ex(request, controls, take)
        return done


_Controls = list[tuple[bytes, object, bytes]] | None


def _question(wanted: Wanted, limit: int) -> pureldap.LDAPSearchRequest:
    parts = [_part(name, value) for name, value in wanted.having.items()]
    if wanted.name is not None:
        parts.append(_equal(*wanted.name))
    every = pureldap.LDAPFilter_present("objectClass")
    return pureldap.LDAPSearchRequest(
        baseObject=wanted.base,
        scope=pureldap.LDAP_SCOPE_wholeSubtree,
        sizeLimit=limit,
        filter=pureldap.LDAPFilter_and([every, *parts]),
        attributes=list(wanted.attributes),
    )


def _about(dn: bytes, attribute: str) -> pureldap.LDAPSearchRequest:
    return pureldap.LDAPSearchRequest(
        baseObject=dn,
        scope=pureldap.LDAP_SCOPE_baseObject,
        filter=pureldap.LDAPFilter_present("objectClass"),
        attributes=[attribute],
    )


def _part(name: str, value: str) -> pureldap.LDAPFilter:
    return pureldap.LDAPFilter_present(name) if value == "*" else _equal(name, value)


def _equal(name: str, value: str) -> pureldap.LDAPFilter:
    return pureldap.LDAPFilter_equalityMatch(
        attributeDesc=pureldap.LDAPAttributeDescription(name),
        assertionValue=pureldap.LDAPAssertionValue(value),
    )


def _entry(response: pureldap.LDAPSearchResultEntry) -> LDAPEntry:
    pairs: Iterable[tuple[bytes, list[bytes]]] = response.attributes
    return LDAPEntry(
        bytes(response.objectName),
        {name.decode("ascii", "replace").lower(): tuple(values) for name, values in pairs},
    )


def _cookie(controls: _Controls) -> bytes:
    """What asks for the next page.

    Raises:
        LDAPFails: The server does not know pages.
    """
    for kind, _, value in controls or ():
        if kind == PAGED:
            try:
                decoded, _ = pureber.berDecodeObject(pureber.BERDecoderContext(), value)
                return bytes(decoded[1].value)
            except (*_NOT_LDAP, pureber.BERExceptionInsufficientData) as error:
                raise LDAPFails("the pages of results are unreadable") from error
    raise LDAPFails("the directory does not support paged results")


def _reason(response: pureldap.LDAPResult) -> str:
    """What it says, for the log."""
    text = bytes(response.errorMessage or b"").decode("utf-8", "replace")[:200]
    return f"the directory answered {int(response.resultCode)}{f': {text}' if text else ''}"


__all__ = [
    "INVALID_CREDENTIALS",
    "MAX_ANSWER_BYTES",
    "SUCCESS",
    "Found",
    "LDAPConnection",
    "LDAPEntry",
    "LDAPFails",
    "LDAPLost",
    "Wanted",
]
