"""What who enters is told of a room's lists: what is new in those they know (:xep:`0463`)."""

from collections.abc import Sequence

from xmppd.stanza import JID, Condition, Message, StanzaError, Tree, qname
from xmppd.stanza.stanza import error_bytes

from .config import RoomConfig
from .effects import RoomItem, user
from .names import AFFILIATIONS
from .privileges import check_read_list
from .ranks import RoomAffiliation, RoomStanding
from .room import Room
from .state import AffiliationChange
from .versions import since_until, version_name

MAX_ITEMS = 500
"""In one message; a list that is longer comes in several."""

_MAV = qname(AFFILIATIONS, "mav")
_NONE = RoomAffiliation.NONE


def wanted_lists(join: Tree) -> Tree | None:
    """What who enters says of the lists they know; None if they do not want any."""
    return join.find(_MAV)


def lists_since(
    room: Room, standing: RoomStanding, wanted: Tree, log: Sequence[AffiliationChange]
) -> list[Message]:
    """The lists of a room for who enters, as far as they may read them: what is new since a
    version, or all of it if that is not known any more; nothing if nothing is new.

    Args:
        room: It.
        standing: What they are to it, and in it.
        wanted: What they say they know.
        log: The changes that are kept, in order.

    Returns:
        Messages to nobody yet; an error if they may read none of the lists.
    """
    readable = _readable(standing, room.config)
    if not readable:
        error = StanzaError(Condition.FORBIDDEN, "you may not see the lists of this room")
        return [Message.make(None, room.jid, error_bytes(error), type="error")]
    since = wanted.get("since", "")
    new = _changed(room, since, log)
    if new is None:
        listed = {each.jid: each.affiliation for each in room.affiliated.values()}
        found = [(jid, now) for jid, now in listed.items() if now in readable]
        return _messages(room, "", found)
    found = [(jid, now if now in readable else _NONE) for jid, now in new.items()]
    return _messages(room, since, found) if found else []


def _readable(standing: RoomStanding, config: RoomConfig) -> set[RoomAffiliation]:
    """The lists that somebody may read."""
    found = set()
    for each in RoomAffiliation:
        try:
            check_read_list(standing, each, config)
        except StanzaError:
            continue
        found.add(each)
    return found - {_NONE}


def _changed(
    room: Room, since: str, log: Sequence[AffiliationChange]
) -> dict[str, RoomAffiliation] | None:
    """What those are who became something since a version; None if that cannot be said."""
    _, _, text = since.rpartition("-")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        return None
    number = int(text)
    behind = [each for each in log if each.version > number]
    if since != version_name(room.key, number) or len(behind) != room.version - number:
        return None
    if _has_lost_somebody(room, log):
        return None
    listed = room.affiliated
    people = dict.fromkeys(each.jid for each in behind)
    return {jid: listed[jid].affiliation if jid in listed else _NONE for jid in people}


def _has_lost_somebody(room: Room, log: Sequence[AffiliationChange]) -> bool:
    """Whether somebody is in no list any more, and no change says so: their account was removed
    while nobody had the room.
    """
    last = {each.jid: each.affiliation for each in log}
    return any(now is not _NONE and jid not in room.affiliated for jid, now in last.items())


def _messages(
    room: Room, since: str, found: Sequence[tuple[str, RoomAffiliation]]
) -> list[Message]:
    """Some items in messages, each of which leads on to the next one. What lies between is no
    version: who knows no more than that gets all anew.
    """
    made, until = [], version_name(room.key, room.version)
    for begin in range(0, len(found) or 1, MAX_ITEMS):
        some = found[begin : begin + MAX_ITEMS]
        is_last = begin + MAX_ITEMS >= len(found)
        to = until if is_last else f"{until}-part-{begin}"
        items = "".join(RoomItem(now).xml(JID.prepared(jid), role=False) for jid, now in some)
        made.append(Message.make(None, room.jid, user(since_until(since, to) + items)))
        since = to
    return made


__all__ = ["MAX_ITEMS", "lists_since", "wanted_lists"]
