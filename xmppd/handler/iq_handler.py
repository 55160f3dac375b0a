"""The base of all that answers IQs."""

from collections.abc import Awaitable
from typing import ClassVar

from xmppd.stanza import IQ, Condition, Element, StanzaError

Answer = Element | bytes | IQ | None


class IQHandler:
    """Answers the requests whose child has one name; says in its fields what it needs.

    Attributes:
        query: ``{namespace}name`` of the child it answers.
        features: What :xep:`0030` lists for it on the server.
        account_features: What :xep:`0030` lists for it on an account's bare JID.
        before_bind: Whether it answers a client that has not bound a resource yet.
    """

    query: ClassVar[str]
    features: ClassVar[tuple[str, ...]] = ()
    account_features: ClassVar[tuple[str, ...]] = ()
    before_bind: ClassVar[bool] = False

    def on_get(self, iq: IQ) -> Answer | Awaitable[Answer]:
        """Answer a get: the child of the result, or None for an empty one; or the whole result,
        where it does not go to the address that asked.

        Raises:
            StanzaError: It cannot be answered.
        """
        raise StanzaError(Condition.FEATURE_NOT_IMPLEMENTED, "this cannot be got")

    def on_set(self, iq: IQ) -> Answer | Awaitable[Answer]:
        """Do what a set asks for: the child of the result, or None for an empty one.

        Raises:
            StanzaError: It cannot be done.
        """
        raise StanzaError(Condition.FEATURE_NOT_IMPLEMENTED, "this cannot be set")
