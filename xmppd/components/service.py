"""Service: a domain inside the server that answers requests as the server does."""

from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import replace

from xmppd.components.internal_component import InternalComponent
from xmppd.components.service_domains import ServiceDomains
from xmppd.disco.disco import DiscoAnswer, EntitiesOf, Says
from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoQuestion
from xmppd.handler.iq_handler import Answer, Asked, IQHandler, Pulling, To
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Element,
    Later,
    Message,
    Presence,
    Stanza,
    StanzaError,
    dump,
)

ANSWER_S = 30.0
"""The time in which a request that was passed on is answered."""


class Service(InternalComponent):
    """A domain with IQHandlers, features, an identity and items like the server's own.

    A request to the domain is answered by the service's own handlers, and by those of the server
    that answer :attr:`~xmppd.handler.iq_handler.To.SERVICES`, such as disco's; to an entity of it,
    by those that answer :attr:`~xmppd.handler.iq_handler.To.ENTITIES`. A subclass takes messages
    and presence by :meth:`message` and :meth:`presence`, and adds to its disco answers by
    :meth:`says`. Requests to a resource of an entity, such as a room's occupant, come to
    :meth:`resource_request`. While a stanza waits, others of the same
    :meth:`~xmppd.components.internal_component.InternalComponent.line` wait behind it, and those
    of other lines do not.

    Args:
        services: Its place.
        domain: Its domain, which may not be one of the server's.
        identity: Of the domain; its name is that of the server's item.
        handlers: Its own.
    """

    def __init__(
        self,
        services: ServiceDomains,
        domain: str,
        identity: DiscoIdentity,
        *handlers: IQHandler,
    ) -> None:
        super().__init__(services.packet_router, services.clock, domain, identity.name)
        self.identity = identity
        self.handlers = {handler.query: handler for handler in handlers}
        self._iq_router = services.iq_router

    # -- for subclasses ---------------------------------------------------------------------------

    def message(self, message: Message) -> Later:
        """Take a message, for any address at the domain.

        Raises:
            StanzaError: Its sender is told; SERVICE_UNAVAILABLE, if the subclass takes none.
        """
        raise StanzaError(Condition.SERVICE_UNAVAILABLE)

    def presence(self, presence: Presence) -> Later:
        """Take presence. Without a subclass that does, requests are refused
        (:rfc:`6121#section-3.1.3`), and all other presence is ignored.
        """
        if presence.type == "subscribe" and presence.to is not None:
            self.send(
                Presence.make(presence.sender.to_bare(), presence.to.to_bare(), type="unsubscribed")
            )
        return None

    def resource_request(self, iq: IQ) -> Later:
        """Take a request to a resource: no handler is asked. A subclass answers by :meth:`send`, or
        has somebody else answer by :meth:`pass_on`.

        Raises:
            StanzaError: Its sender is told; SERVICE_UNAVAILABLE, if the subclass takes none.
        """
        raise StanzaError(Condition.SERVICE_UNAVAILABLE)

    def pass_on(self, iq: IQ, to: JID, sender: JID) -> None:
        """Pass a request on, and the answer back in the name of the address that was asked. Nothing
        waits for it.

        Args:
            iq: The request.
            to: The address that answers instead.
            sender: The address at the domain in whose name it is asked.

        Raises:
            StanzaError: RESOURCE_CONSTRAINT: too many requests of its sender wait for an answer.
        """
        self.apart(iq, self._pass_on(iq, to, sender))

    async def _pass_on(self, iq: IQ, to: JID, sender: JID) -> None:
        answer = await self._iq_router.requests.ask(
            to, sender, dump(iq.query), timeout_s=ANSWER_S, type=iq.type or "get", send=self.send
        )
        if answer is None:
            raise StanzaError(Condition.REMOTE_SERVER_TIMEOUT)
        children = [dump(inner) for inner in answer.xml]
        self.send(IQ.make(iq.sender, iq.to or self.jid, *children, id=iq.id, type=answer.type))

    def says(self, question: DiscoQuestion) -> DiscoAnswer:
        """The disco answer for the domain, an entity or a node of these, beside the domain's
        identity and the features of handlers; None if there is no such entity or node.
        """
        return None

    # -- its identity -----------------------------------------------------------------------------

    def said(self) -> Iterable[Says]:
        domain = self.jid.domain
        entities = EntitiesOf(domain)
        yield Says(DiscoInfo((self.identity,)), domain, lambda question: self._features())
        yield Says(of=domain, answer=self.says)
        yield Says(of=domain, answer=self.says, nodes=True)
        yield Says(of=entities, answer=self._entity)
        yield Says(of=entities, answer=self.says, nodes=True)

    def _features(self, *, entity: bool = False) -> DiscoInfo:
        """The features of all present handlers for the domain, or for its entities."""
        features: list[str] = []
        for handler in self._answering(entity=entity):
            features += handler.features
        return DiscoInfo(features=tuple(features))

    async def _entity(self, question: DiscoQuestion) -> DiscoInfo | None:
        """The answer for an entity, if there is one: with the features of the handlers for it."""
        answer = self.says(question)
        found = await answer if isinstance(answer, Awaitable) else answer
        if found is None:
            return None
        features = self._features(entity=True).features
        return replace(found, features=(*found.features, *features))

    def _answering(self, *, entity: bool) -> Iterator[IQHandler]:
        """The handlers that answer for the domain, or for its entities; its own come first."""
        for handler in self.handlers.values():
            if (To.ENTITIES if entity else To.SERVER) in handler.to:
                yield handler
        for handler in self._iq_router.handlers.values():
            if (To.ENTITIES if entity else To.SERVICES) in handler.to:
                yield handler

    # -- its work ---------------------------------------------------------------------------------

    def stanza_received(self, stanza: Stanza) -> Later:
        match stanza:
            case Message():
                return self.message(stanza)
            case Presence():
                return self.presence(stanza)
            case IQ() if stanza.answerable:
                return self.handle_request(stanza)
            case IQ():
                self._iq_router.requests.answered(stanza)
        return None

    def handle_request(self, iq: IQ) -> Later:
        """Answer a request by its handler.

        Raises:
            StanzaError: It cannot be answered.
        """
        to = iq.to
        if iq.id is None or len(iq.payload.tree) != 1:
            raise StanzaError(
                Condition.BAD_REQUEST, "a request must have an id and exactly one child"
            )
        if to is None:
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)
        if to.resource is not None:
            return self.resource_request(iq)
        answering = self._answering(entity=to.local is not None)
        tag = iq.payload.tree[0].tag
        handler = next((each for each in answering if each.query == tag), None)
        if handler is None:
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)
        asker = self._iq_router.sessions.session(iq.sender)
        asked = Asked(to, own=False, asker=asker, service=True)
        answer = handler.on_get(iq, asked) if iq.type == "get" else handler.on_set(iq, asked)
        if answer is None or isinstance(answer, (bytes, Element, IQ, Pulling)):
            return self._reply(iq, answer)
        replying = self._reply_later(iq, answer)
        if handler.apart:
            self.apart(iq, replying)
            return None
        return replying

    async def _reply_later(self, iq: IQ, answer: Awaitable[Answer]) -> None:
        replying = self._reply(iq, await answer)
        if replying is not None:
            await replying

    def _reply(self, iq: IQ, answer: Answer) -> Later:
        if isinstance(answer, Pulling):
            session = self._iq_router.sessions.session(iq.sender)
            if session is not None:
                return self._iq_router.pull(iq, answer, session)
            for each in answer.stanzas:  # whoever has no connection here is sent all at once
                self.send(each)
            answer = answer.answer
        self.send(answer if isinstance(answer, IQ) else iq.result(answer))
        return None


__all__ = ["Service"]
