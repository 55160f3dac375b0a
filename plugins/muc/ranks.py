"""What somebody is to a room for good, their affiliation, and what they are in it just now, their
role (:xep:`0045`, §5).
"""

from enum import Enum
from typing import Self, TypeVar

from msgspec import Struct

T = TypeVar("T", bound="Rank")


class Rank(Enum):
    """One of several words, in rising order."""

    __hash__ = object.__hash__  # an Enum's own is a call, and each presence is looked up by some

    @property
    def height(self) -> int:
        """Its place among them."""
        return _HEIGHTS[self]

    def is_above(self, other: Self) -> bool:
        """Whether it is higher than another."""
        return self.height > other.height


class RoomAffiliation(Rank):
    """What a person, or a whole domain, is to a room (§5.2)."""

    OUTCAST = "outcast"
    NONE = "none"
    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"

    @property
    def leads(self) -> bool:
        """Whether it is that of an admin or owner."""
        return self in (RoomAffiliation.ADMIN, RoomAffiliation.OWNER)


class Role(Rank):
    """What an occupant is while it is in a room (§5.1); NONE of who is not."""

    NONE = "none"
    VISITOR = "visitor"
    PARTICIPANT = "participant"
    MODERATOR = "moderator"


_HEIGHTS: dict[Rank, int] = {
    rank: height for ranks in (RoomAffiliation, Role) for height, rank in enumerate(ranks)
}


class RoomStanding(Struct, frozen=True):
    """What somebody is to a room just now.

    Attributes:
        affiliation: For good.
        role: That of an occupant; NONE of who is not in the room.
    """

    affiliation: RoomAffiliation
    role: Role = Role.NONE


__all__ = ["Rank", "Role", "RoomAffiliation", "RoomStanding"]
