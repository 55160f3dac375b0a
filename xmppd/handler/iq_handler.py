"""The base of all that answers IQs, and what it is told of a request besides the request itself."""

from collections.abc import Awaitable
from dataclasses import dataclass
from enum import Flag, auto
from typing import ClassVar

from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError

Answer = Element | bytes | IQ | None


class To(Flag):
    """To whom a request is addressed that a handler answers.

    Attributes:
        SERVER: To a domain of ours.
        OWN_ACCOUNT: To the account of whoever asks, by name or without one
            (:rfc:`6120#section-10.3.3`).
        ACCOUNTS_SEEN: To the account of somebody else whose presence the sender may see.
        GUESTS: To a guest who is here (:xep:`0175`), whoever asks.
        ACCOUNTS: To the account of somebody else, whoever asks. What the handler says of an account
            that has nothing to say must then be what is said of an account that does not exist.
        SERVICES: To the domain of a :class:`~xmppd.components.service.Service`.
        ENTITIES: To an entity of one, such as a room.
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
    """Whose question a request is: settled before a handler gets it, so that none looks it up.

    Attributes:
        address: Bare JID of the account that is asked; or the domain, if it is the server.
        own: Whether it is the account of whoever asks.
        asker: The client's session that asks, bound or not; None if somebody else does.
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
        """The session that asks, for what only a client of this server may ask.

        Raises:
            StanzaError: NOT_ALLOWED: somebody else asks.
        """
        if self.asker is None:
            raise StanzaError(Condition.NOT_ALLOWED)
        return self.asker


class IQHandler:
    """Answers the requests whose child has one name; says in its fields what it needs.

    Attributes:
        query: ``{namespace}name`` of the child it answers.
        to: To whom the requests are addressed that it answers: to the server only, if it does not
            say. All others are refused before it is asked (IQ-19).
        refusal: What those are told that may know that there is such an account.
        features: What :xep:`0030` lists for it on the server, and on accounts if it answers for
            :attr:`~To.ACCOUNTS_SEEN`.
        before_bind: Whether it answers a client that has not bound a resource yet.
    """

    query: ClassVar[str]
    to: ClassVar[To] = To.SERVER
    refusal: ClassVar[Condition] = Condition.SERVICE_UNAVAILABLE
    features: ClassVar[tuple[str, ...]] = ()
    before_bind: ClassVar[bool] = False

    def on_get(self, iq: IQ, asked: Asked) -> Answer | Awaitable[Answer]:
        """Answer a get: the child of the result, or None for an empty one; or the whole result,
        where it does not go to the address that asked.

        Raises:
            StanzaError: It cannot be answered.
        """
        raise StanzaError(Condition.FEATURE_NOT_IMPLEMENTED, "this cannot be got")

    def on_set(self, iq: IQ, asked: Asked) -> Answer | Awaitable[Answer]:
        """Do what a set asks for: the child of the result, or None for an empty one.

        Raises:
            StanzaError: It cannot be done.
        """
        raise StanzaError(Condition.FEATURE_NOT_IMPLEMENTED, "this cannot be set")
