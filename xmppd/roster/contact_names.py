"""Names and groups of contacts: what they may be, whether a client or a command sets them."""

from collections.abc import Sequence
from dataclasses import replace

from xmppd.stanza import Condition, StanzaError
from xmppd.stanza.phrases import counted
from xmppd.stanza.xml import find_unwritable
from xmppd.store.rosters import RosterItem

MAX_NAME_LENGTH = 1_023
"""Of a contact's name and of a group's, in characters."""

MAX_WORDS_BYTES = 4_096
"""Of a contact's name and groups together, or a full roster would fill hundreds of megabytes."""


def named(item: RosterItem, name: str, groups: Sequence[str], *, max_groups: int) -> RosterItem:
    """The contact under this name, in these groups.

    Args:
        item: As it was.
        name: Empty for none.
        groups: Each of them once.
        max_groups: How many there may be.

    Raises:
        StanzaError: NOT_ACCEPTABLE: something is empty, too long or too many; BAD_REQUEST: a group
            is named twice.

    Spec: :rfc:`6121#section-2.3.3`
    """
    check_name(name, "the name")
    if len(set(groups)) != len(groups):
        raise StanzaError(Condition.BAD_REQUEST, "a group appears twice")
    for group in groups:
        check_group_name(group)
    if len(groups) > max_groups:
        raise StanzaError(
            Condition.NOT_ACCEPTABLE, f"a contact may have at most {counted(max_groups, 'group')}"
        )
    if len("".join((name, *groups)).encode()) > MAX_WORDS_BYTES:
        raise StanzaError(Condition.NOT_ACCEPTABLE, "the name and the groups are too long")
    return replace(item, name=name, groups=tuple(groups))


def check_group_name(name: str) -> None:
    """Refuse a text that cannot be the name of a group.

    Raises:
        StanzaError: NOT_ACCEPTABLE: it is empty, too long, or holds a character that XML forbids.
    """
    if not name:
        raise StanzaError(Condition.NOT_ACCEPTABLE, "a group's name is empty")
    check_name(name, "a group's name")


def check_name(name: str, what: str) -> None:
    """Refuse a name that is too long, or cannot be written in XML.

    Args:
        name: Perhaps empty.
        what: What the error calls it.

    Raises:
        StanzaError: NOT_ACCEPTABLE: it is.
    """
    if len(name) > MAX_NAME_LENGTH:
        raise StanzaError(
            Condition.NOT_ACCEPTABLE, f"{what} is longer than {MAX_NAME_LENGTH} characters"
        )
    if find_unwritable(name):
        raise StanzaError(
            Condition.NOT_ACCEPTABLE, f"{what} holds a character that XML does not allow"
        )
