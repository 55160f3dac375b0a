"""The command by which owners have all that waits for their approval sent again (NO-14)."""

from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError, child, element, qname
from xmppd.stanza.form import DATA, Field, form

from .config import PREFIX, submitted
from .names import NS, SUBSCRIBE_AUTHORIZATION, new_name
from .requests import PubSubRequests

COMMANDS = "http://jabber.org/protocol/commands"
GET_PENDING = f"{NS}#get-pending"
TITLE = "Subscription requests that wait for your approval"


class IQPendingHandler(IQHandler):
    """List the nodes with such subscriptions, and send the forms of one (:xep:`0060`, §8.7).

    Args:
        requests: Do what is asked of nodes.
    """

    query = qname(COMMANDS, "command")
    features = (COMMANDS, GET_PENDING)

    def __init__(self, requests: PubSubRequests) -> None:
        self.requests = requests

    async def on_set(self, iq: IQ, asked: Asked) -> Element:
        """Begin with the list, or go on with the node that was chosen."""
        if iq.query.get("node") != GET_PENDING:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "unknown command")
        filled = iq.query.find(qname(DATA, "x"))
        if iq.query.get("action") == "cancel":
            return _answer(iq, "canceled")
        if filled is None:
            return await self._list(iq, asked.address)
        nodes = submitted(filled, SUBSCRIBE_AUTHORIZATION).get(f"{PREFIX}node", [])
        if len(nodes) != 1:
            raise StanzaError(Condition.BAD_REQUEST, f"{PREFIX}node must be one node")
        await self.requests.tell_pending(asked.address, nodes[0], iq.sender)
        return _answer(iq, "completed")

    async def _list(self, iq: IQ, host: JID) -> Element:
        nodes = await self.requests.pending(host, iq.sender)
        if not nodes:
            answer = _answer(iq, "completed")
            child(answer, "note", "no request waits for your approval", type="info")
            return answer
        answer = _answer(iq, "executing")
        child(child(answer, "actions", execute="complete"), "complete")
        choice = Field(f"{PREFIX}node", "Node", "list-single", options=tuple(nodes))
        answer.append(form(SUBSCRIBE_AUTHORIZATION, TITLE, "Choose a node.", choice))
        return answer


def _answer(iq: IQ, status: str) -> Element:
    session_id = iq.query.get("sessionid") or new_name()
    return element(COMMANDS, "command", node=GET_PENDING, sessionid=session_id, status=status)


__all__ = ["COMMANDS", "GET_PENDING", "TITLE", "IQPendingHandler"]
