"""Handlers of the requests by which clients register push services (:xep:`0357`, §5 and §6)."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.host.clocks import Clocks
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError, dump, qname
from xmppd.stanza.form import DATA
from xmppd.stanza.guests import is_guest
from xmppd.store.errors import QuotaExceeded

from .notice import NS, PUBSUB
from .registrations import Registration, device_of
from .triggers import PushTriggers

MAX_OPTIONS_BYTES = 4_096
MAX_NODE_BYTES = 3_071

_OPTIONS = f"{PUBSUB}#publish-options"


@dataclass(frozen=True)
class IQPushEnableHandler(IQHandler):
    """Register a push service for the device that asks (PN-1)."""

    triggers: PushTriggers
    clocks: Clocks

    query = qname(NS, "enable")
    to = To.OWN_ACCOUNT
    features = (NS,)

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        session = asked.session
        if is_guest(session.jid.bare):
            raise StanzaError(Condition.NOT_ALLOWED, "guests cannot use this")
        account, service = session.jid.bare, service_of(iq).full
        options, device = options_of(iq.query), device_of(session)
        registration = Registration(account, service, node_of(iq) or "", options, device)
        try:
            await self.triggers.registrations.save(registration, self.clocks.wall_clock())
        except QuotaExceeded as error:
            raise StanzaError(Condition.RESOURCE_CONSTRAINT, str(error)) from error
        await self.triggers.changed(account)


@dataclass(frozen=True)
class IQPushDisableHandler(IQHandler):
    """Forget a registration, or all of a service; also if there is none, since that is what was
    asked for.
    """

    triggers: PushTriggers

    query = qname(NS, "disable")
    to = To.OWN_ACCOUNT

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        account, service = asked.session.jid.bare, service_of(iq).full
        if await self.triggers.registrations.remove(account, service, node_of(iq)):
            await self.triggers.changed(account)


def service_of(iq: IQ) -> JID:
    """The service that is named.

    Raises:
        StanzaError: BAD_REQUEST: none is; JID_MALFORMED: it is no address.
    """
    text = iq.payload.tree[0].get("jid")
    if not text:
        raise StanzaError(Condition.BAD_REQUEST, "name the push service by its jid")
    try:
        return JID.parse(text)
    except ValueError as error:
        raise StanzaError(Condition.JID_MALFORMED, "the push service has no address") from error


def node_of(iq: IQ) -> str | None:
    """The node that is named; None if none is.

    Raises:
        StanzaError: NOT_ACCEPTABLE: its name is too long.
    """
    node = iq.payload.tree[0].get("node")
    if node is not None and len(node.encode()) > MAX_NODE_BYTES:
        raise StanzaError(
            Condition.NOT_ACCEPTABLE, f"a node's name may have at most {MAX_NODE_BYTES} bytes"
        )
    return node


def options_of(query: Element) -> bytes:
    """The form for publishing, as it was written; empty if there is none.

    Raises:
        StanzaError: BAD_REQUEST: it is another form; NOT_ACCEPTABLE: it is too long.
    """
    form = query.find(qname(DATA, "x"))
    if form is None:
        return b""
    types = form.xpath("d:field[@var='FORM_TYPE']/d:value/text()", namespaces={"d": DATA})
    if types != [_OPTIONS]:
        raise StanzaError(Condition.BAD_REQUEST, f"the form must have the type {_OPTIONS}")
    options = dump(form)
    if len(options) > MAX_OPTIONS_BYTES:
        text = f"options may have at most {MAX_OPTIONS_BYTES} bytes"
        raise StanzaError(Condition.NOT_ACCEPTABLE, text)
    return options


__all__ = ["IQPushDisableHandler", "IQPushEnableHandler"]
