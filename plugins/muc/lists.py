"""What a request to change a room's lists, or the roles of who is in it, asks for (RM-2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from xmppd.stanza import JID, Condition, StanzaError, Tree, qname

from .names import MUC_ADMIN
from .occupant import Occupant
from .privileges import check_affiliated, check_affiliation_change, check_role_change
from .ranks import Role, RoomAffiliation, RoomStanding
from .room import Room
from .state import Affiliated

R = TypeVar("R")

MAX_ITEMS = 500
"""In one request."""

_ITEM = qname(MUC_ADMIN, "item")
_REASON = qname(MUC_ADMIN, "reason")
_AFFILIATIONS = {each.value: each for each in RoomAffiliation}
_ROLES = {each.value: each for each in Role}


@dataclass
class WantedLists:
    """What a request asks for, all of which is done or none.

    Attributes:
        affiliated: Who is to be something else.
        roles: Occupants that are to have another role, and why.
    """

    affiliated: dict[str, Affiliated] = field(default_factory=dict)
    roles: dict[Occupant, tuple[Role, str]] = field(default_factory=dict)


class WantedChanges:
    """Reads what somebody asks for, and lets them if they may have it.

    Args:
        room: Whose lists.
        actor: Who asks: a full JID.
        standing: What they are to the room.
    """

    def __init__(self, room: Room, actor: JID, standing: RoomStanding) -> None:
        self.room = room
        self.actor = actor
        self.standing = standing
        self._wanted = WantedLists()

    def read(self, query: Tree) -> WantedLists:
        """All that is asked for, checked in order.

        Raises:
            StanzaError: Something of it is wrong, or not theirs to ask for.
        """
        items = query.findall(_ITEM)
        if not 1 <= len(items) <= MAX_ITEMS:
            raise StanzaError(Condition.BAD_REQUEST, f"a request must have 1 to {MAX_ITEMS} items")
        for item in items:
            reason = (item.findtext(_REASON) or "").strip()
            affiliation, role = item.get("affiliation"), item.get("role")
            if affiliation is not None and role is not None:
                raise StanzaError(
                    Condition.NOT_ACCEPTABLE, "an item may have an affiliation or a role, not both"
                )
            if role is not None:
                self._want_role(item, _word(_ROLES, role), reason)
            elif affiliation is not None:
                wanted = _word(_AFFILIATIONS, affiliation)
                self._want_affiliation(self._person(item), wanted, reason)
            else:
                raise StanzaError(
                    Condition.BAD_REQUEST, "an item must have an affiliation or a role"
                )
        return self._wanted

    def want_lists(self, wanted: RoomAffiliation, people: Iterable[str]) -> WantedLists:
        """Have these, and nobody else, have an affiliation.

        Raises:
            StanzaError: It is not theirs to ask for.
        """
        listed = dict.fromkeys(people)
        for jid in listed:
            self._want_affiliation(JID.prepared(jid), wanted, "")
        for each in tuple(self.room.affiliated.values()):
            is_left = self._affiliation(JID.prepared(each.jid)) is wanted
            if is_left and each.jid not in listed:
                self._want_affiliation(JID.prepared(each.jid), RoomAffiliation.NONE, "")
        return self._wanted

    def want_one(self, person: JID, wanted: RoomAffiliation, reason: str) -> WantedLists:
        """Have one person be something.

        Raises:
            StanzaError: It is not theirs to ask for.
        """
        self._want_affiliation(person, wanted, reason)
        return self._wanted

    # -- affiliations -----------------------------------------------------------------------------

    def _person(self, item: Tree) -> JID:
        """Whose affiliation an item is about: named by JID, or by the nick of who is in (RM-1)."""
        text, nick = item.get("jid"), item.get("nick")
        occupant = None if nick is None else self.room.occupant(nick)
        if text is None:
            if nick is None:
                raise StanzaError(Condition.BAD_REQUEST, "an item must have an address")
            if occupant is None:
                raise StanzaError(Condition.ITEM_NOT_FOUND, "no occupant has this nick")
            return occupant.person
        try:
            person = JID.parse(text).to_bare()
        except ValueError as error:
            raise StanzaError(Condition.JID_MALFORMED, str(error)) from error
        if occupant is not None and occupant.person != person:
            raise StanzaError(Condition.BAD_REQUEST, "the JID and the nick belong to two people")
        return person

    def _affiliation(self, person: JID) -> RoomAffiliation:
        """What somebody is listed as when all before in this request is done."""
        found = self._wanted.affiliated.get(person.bare) or self.room.affiliated.get(person.bare)
        return RoomAffiliation.NONE if found is None else found.affiliation

    def _want_affiliation(self, person: JID, wanted: RoomAffiliation, reason: str) -> None:
        before = self._affiliation(person)
        check_affiliated(person, wanted)
        check_affiliation_change(
            self.standing.affiliation,
            before,
            wanted,
            is_self=person.bare == self.actor.bare,
            is_last_owner=self._is_last_owner(person),
        )
        if wanted is before:
            return
        known = self.room.affiliated.get(person.bare)
        self._wanted.affiliated[person.bare] = Affiliated(
            person.bare, wanted, "" if known is None else known.nick, reason, self.actor.bare
        )

    def _is_last_owner(self, person: JID) -> bool:
        listed = {**self.room.affiliated, **self._wanted.affiliated}
        return not any(
            each.affiliation is RoomAffiliation.OWNER and each.jid != person.bare
            for each in listed.values()
        )

    # -- roles ------------------------------------------------------------------------------------

    def _want_role(self, item: Tree, wanted: Role, reason: str) -> None:
        nick = item.get("nick")
        if nick is None:
            raise StanzaError(
                Condition.NOT_ACCEPTABLE, "to change a role, name the occupant by nick, not by jid"
            )
        occupant = self.room.occupant(nick)
        if occupant is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "no occupant has this nick")
        role, _ = self._wanted.roles.get(occupant, (occupant.role, ""))
        target = RoomStanding(self.room.affiliation(occupant.person), role)
        is_self = occupant.person.bare == self.actor.bare
        check_role_change(self.standing, target, wanted, is_self=is_self)
        if wanted is not role:
            self._wanted.roles[occupant] = wanted, reason


def _word(words: Mapping[str, R], text: str) -> R:
    found = words.get(text)
    if found is None:
        raise StanzaError(Condition.BAD_REQUEST, f"use one of {', '.join(words)}, not {text[:100]}")
    return found


__all__ = ["MAX_ITEMS", "WantedChanges", "WantedLists"]
