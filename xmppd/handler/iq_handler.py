"""IQHandler: the base of all handlers of iqs, and the addressee that they are told."""

from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from enum import Flag, auto
from typing import ClassVar

from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import IQ, JID, Condition, Element, Stanza, StanzaError


@dataclass(frozen=True, slots=True, eq=False)
class Pulling:
    """An answer behind many stanzas, which are made as fast as the client reads (SE-13).

    Attributes:
        stanzas: To the asker, in order.
        answer: Follows when all of them are written.
    """

    stanzas: Iterator[Stanza]
    answer: Element | bytes | None = None


Answer = Element | bytes | IQ | Pulling | None


class To(Flag):
    """The addressees for which a handler answers requests.

    Attributes:
        SERVER: A domain of ours.
        OWN_ACCOUNT: The account of the asker, by name or without one (:rfc:`6120#section-10.3.3`).
        ACCOUNTS_SEEN: Another's account whose presence the asker may see.
        GUESTS: A guest that is here (:xep:`0175`), for any asker.
        ACCOUNTS: Another's account, for any asker. The answer for an account without data must then
            be the same as for one that does not exist.
        SERVICES: The domain of a :class:`~xmppd.components.service.Service`.
        ENTITIES: An entity of one, such as a room.
    """

    SERVER = auto()
    OWN_ACCOUNT = auto()
    ACCOUNTS_SEEN = auto()
    GUESTS = auto()
    ACCOUNTS = auto()
    SERVICES = auto()
    ENTITIES = auto()


@dataclass(slots=True)
class Asked:
    """The addressee and the asker of a request, found before a handler gets it, so that none looks
    them up.

    Attributes:
        address: Bare JID of the account that is asked; or the domain, if it is the server.
        own: Whether it is the account of the asker.
        asker: The session of the client that asks, bound or not; None for other askers.
        service: Whether the address is that of a service, or of an entity of one.
    """

    address: JID
    own: bool
    asker: LocalClientSession | None
    service: bool = False

    @property
    def server(self) -> bool:
        """Whether it is the server that is asked, and no account."""
        return self.address.local is None and not self.service

    @property
    def session(self) -> LocalClientSession:
        """The session that asks, for requests that only a client of this server may make.

        Raises:
            StanzaError: NOT_ALLOWED: the asker is another.
        """
        if self.asker is None:
            raise StanzaError(Condition.NOT_ALLOWED)
        return self.asker


class IQHandler:
    """Answers the requests whose child has one name; its fields are the stages it needs.

    Attributes:
        query: ``{namespace}name`` of the child it answers.
        to: The addressees of the requests that it answers; by default the server only. All others
            are refused before it is asked (IQ-19).
        refusal: The error for these, to an asker that may know that there is such an account.
        features: The features that :xep:`0030` lists for it on the server, and on accounts if it
            answers for :attr:`~To.ACCOUNTS_SEEN`.
        goes_by_sessions: Whether its answer for an account depends on who is online: then a node
            with sessions of the account answers.
        before_bind: Whether it answers a client that has not bound a resource yet.
        apart: Whether an entity of a service goes on with other stanzas while this answers one.
    """

    query: ClassVar[str]
    to: ClassVar[To] = To.SERVER
    refusal: ClassVar[Condition] = Condition.SERVICE_UNAVAILABLE
    features: ClassVar[tuple[str, ...]] = ()
    goes_by_sessions: ClassVar[bool] = False
    before_bind: ClassVar[bool] = False
    apart: ClassVar[bool] = False

    def unseen(self, iq: IQ) -> bytes | None:
        """The answer for another's account that does not exist, denies the sender, or does not show
        itself to them, if there is one that says nothing of it; None: the request is refused.
        """
        return None

    def on_get(self, iq: IQ, asked: Asked) -> Answer | Awaitable[Answer]:
        """Answer a get: the child of the result, or None for an empty one; or the whole result,
        where it does not go to the address that asked; or that behind many stanzas.

        Raises:
            StanzaError: It cannot be answered.
        """
        raise StanzaError(Condition.FEATURE_NOT_IMPLEMENTED, "a get is not possible here")

    def on_set(self, iq: IQ, asked: Asked) -> Answer | Awaitable[Answer]:
        """Answer a set: the child of the result, or None for an empty one; or that behind many
        stanzas.

        Raises:
            StanzaError: It cannot be done.
        """
        raise StanzaError(Condition.FEATURE_NOT_IMPLEMENTED, "a set is not possible here")
