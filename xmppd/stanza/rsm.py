"""Result set management (:xep:`0059`): a page of a long list, as it is asked for and as it is
answered.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from xmppd.stanza.error import Condition, StanzaError
from xmppd.stanza.names import qname
from xmppd.stanza.text import escape
from xmppd.stanza.xml import Element, Tree

RSM = "http://jabber.org/protocol/rsm"
LARGEST = 2**31
"""No number in a request is larger."""

_SET = qname(RSM, "set")
_NUMBER = re.compile(r"[0-9]{1,10}\Z").match


class PageRequest(NamedTuple):
    """A page that is asked for: the first one if nothing else is said.

    Attributes:
        most: Its items, at most.
        after: The id of the item behind which it begins; None if it begins elsewhere.
        before: The id of the item before which it ends; empty for the last page, None if it ends
            elsewhere.
        skipped: The number of items before it; None if it is not asked for by that.
    """

    most: int
    after: str | None = None
    before: str | None = None
    skipped: int | None = None

    @property
    def is_backwards(self) -> bool:
        """Whether it is found from its end."""
        return self.before is not None


class ListPage(NamedTuple):
    """A page of a list in memory.

    Attributes:
        start: The index of its first item.
        end: That behind its last one.
        given: The ``<set/>`` that says so.
    """

    start: int
    end: int
    given: bytes


def page_request(query: Tree | Element, *, usual: int, most: int) -> PageRequest | None:
    """The page that a request asks for.

    Args:
        query: The element that has the ``<set/>``.
        usual: The items of a page whose size is not said.
        most: More are never given, however many are asked for.

    Returns:
        None if the request says nothing of pages.

    Raises:
        StanzaError: BAD_REQUEST: it does not say what page that is; the text names the element.
    """
    found = query.find(_SET)
    if found is None:
        return None
    size, index = _number(found, "max"), _number(found, "index")
    after, before = found.findtext(qname(RSM, "after")), found.findtext(qname(RSM, "before"))
    after = after or None  # behind nothing is where a list begins
    if (after is not None) + (before is not None) + (index is not None) > 1:
        raise _unclear("use only one of after, before and index")
    return PageRequest(usual if size is None else min(size, most), after, before, index)


def _number(found: Tree | Element, name: str) -> int | None:
    text = found.findtext(qname(RSM, name))
    if text is None:
        return None
    text = text.strip()
    if not _NUMBER(text) or int(text) > LARGEST:
        raise _unclear(f"{name} must be a number from 0 to {LARGEST}")
    return int(text)


def _unclear(text: str) -> StanzaError:
    return StanzaError(Condition.BAD_REQUEST, text)


def page_set(
    first: str | None, last: str | None, *, count: int | None = None, index: int | None = None
) -> bytes:
    """The ``<set/>`` that says which page was given.

    Args:
        first: The id of its first item; None for an empty page.
        last: The id of its last item.
        count: The number of items in the whole list, if that is known.
        index: The number of those before the page, if that is known.
    """
    parts = [f"<set xmlns='{RSM}'>"]
    if first is not None and last is not None:
        at = "" if index is None else f" index='{index}'"
        parts.append(f"<first{at}>{escape(first)}</first><last>{escape(last)}</last>")
    if count is not None:
        parts.append(f"<count>{count}</count>")
    parts.append("</set>")
    return "".join(parts).encode()


def page_of(ids: Sequence[str], request: PageRequest) -> ListPage:
    """The page of a list that is in memory, by the ids of its items.

    Raises:
        StanzaError: ITEM_NOT_FOUND: the item that it begins or ends at is not in the list (§2.4).
    """
    count = len(ids)
    if request.before is not None:
        end = count if not request.before else _place(ids, request.before)
        start = max(0, end - request.most)
    else:
        start = min(request.skipped or 0, count)
        if request.after is not None:
            start = _place(ids, request.after) + 1
        end = min(start + request.most, count)
    if start == end:
        return ListPage(start, end, page_set(None, None, count=count))
    return ListPage(start, end, page_set(ids[start], ids[end - 1], count=count, index=start))


def _place(ids: Sequence[str], id: str) -> int:
    try:
        return ids.index(id)
    except ValueError:
        raise StanzaError(Condition.ITEM_NOT_FOUND, "this item no longer exists") from None
