"""Requests for commands of a room, as forms (:xep:`0050`).

Nothing is remembered from the form to what is filled in: whoever knows the fields may send them at
once (:xep:`0317`, §3.3), and there is nothing to limit.
"""

from collections.abc import Iterator
from secrets import token_hex

from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoItem, DiscoQuestion
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError, Tree, child, element, qname
from xmppd.stanza.form import DATA, submitted
from xmppd_plugins.adhoc_commands import NS, refusal

from .hall import Hall
from .room import Room
from .room_command import RoomCommand, Values

_FORM = qname(DATA, "x")
_LAST = ("execute", "complete")


class IQRoomCommandHandler(IQHandler):
    """Run a command of a room, or give the form for it (RM-75).

    Args:
        hall: Where the rooms are, and their commands.
    """

    query = qname(NS, "command")
    to = To.ENTITIES
    features = (NS,)

    def __init__(self, hall: Hall) -> None:
        self.hall = hall

    def _found(self, room: Room, actor: JID, node: str) -> RoomCommand:
        """A command that somebody may give.

        Raises:
            StanzaError: There is none of this node, or it is not for them.
        """
        found = self.hall.room_commands.get(node)
        if found is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "unknown command for a room")
        found.check(room, actor)
        return found

    def _listed(self, room: Room, actor: JID) -> Iterator[RoomCommand]:
        for command in self.hall.room_commands.values():
            try:
                command.check(room, actor)
            except StanzaError:
                continue
            yield command

    async def on_set(self, iq: IQ, asked: Asked) -> Element:
        room, tree = self.hall.found(asked.address), iq.payload.tree[0]
        command = self._found(room, iq.sender, tree.get("node", ""))
        session_id = tree.get("sessionid") or token_hex(16)
        action = tree.get("action", "execute")
        if action == "cancel":
            return _answer(command, session_id, "canceled")
        if action not in _LAST:
            raise refusal("bad-action", "a room's command has only one form")
        filled, shown = tree.find(_FORM), command.form(room)
        if shown is not None and filled is None:
            answer = _answer(command, session_id, "executing")
            child(child(answer, "actions", execute="complete"), "complete")
            answer.append(shown)
            return answer
        done = await command.run(room, iq.sender, _values(filled, shown))
        answer = _answer(command, session_id, "completed")
        if isinstance(done, str):
            child(answer, "note", done, type="info")
        elif done is not None:
            answer.append(done)
        return answer

    def says(self, room: Room, question: DiscoQuestion) -> DiscoInfo | None:
        """What service discovery says of the list of commands, and of one; None of another node."""
        if question.node == NS:
            items = tuple(
                DiscoItem(question.entity, each.title, each.node)
                for each in self._listed(room, question.asker)
            )
            return DiscoInfo((DiscoIdentity("automation", "command-list"),), (NS,), items=items)
        for each in self._listed(room, question.asker):
            if each.node == question.node:
                identity = DiscoIdentity("automation", "command-node", each.title)
                return DiscoInfo((identity,), (NS, DATA))
        return None


def _answer(command: RoomCommand, session_id: str, status: str) -> Element:
    return element(NS, "command", node=command.node, sessionid=session_id, status=status)


def _values(filled: Tree | None, shown: Element | None) -> Values:
    """What a form was filled in with.

    Raises:
        StanzaError: BAD_REQUEST: it does not answer ours.
    """
    if filled is None or shown is None:
        return {}
    try:
        return submitted(filled, shown)
    except ValueError as error:
        raise refusal("bad-payload", str(error)) from error


__all__ = ["NS", "IQRoomCommandHandler"]
