"""CopyCounts: how many sessions have a message, when some of them are on other nodes."""

from collections import OrderedDict
from itertools import count
from weakref import WeakValueDictionary

from xmppd.cluster.node import NodeId
from xmppd.stanza.copy_count import Copies, CopiesElsewhere

MAX_COUNTED = 50_000
"""Messages of which this node remembers how many sessions have them."""


class CopyCounts:
    """The counts of messages that this node has decided about, for other nodes with sessions that
    give them back; and the marks of messages that others have decided about (CL-15).
    """

    def __init__(self) -> None:
        self._numbers = count(1)
        self._counted: OrderedDict[int, Copies] = OrderedDict()
        self._elsewhere: WeakValueDictionary[tuple[NodeId, int], CopiesElsewhere] = (
            WeakValueDictionary()
        )

    def __len__(self) -> int:
        return len(self._counted)

    def number(self, copies: Copies) -> None:
        """Give a count a number, by which other nodes may speak of it."""
        copies.number = next(self._numbers)
        self._counted[copies.number] = copies
        if len(self._counted) > MAX_COUNTED:
            self._counted.popitem(last=False)

    def get(self, number: int) -> Copies | None:
        """The count of this number; None if it is not known any more."""
        return self._counted.get(number)

    def give_back(self, number: int) -> bool:
        """Note that a session on another node has ended and had not read a message.

        Returns:
            Whether no other one has it or has read it; also if that is not known any more.
        """
        copies = self._counted.get(number)
        if copies is None or not copies.give_back():
            return copies is None
        del self._counted[number]
        return True

    def elsewhere(self, account: str, node: NodeId, number: int) -> CopiesElsewhere:
        """The count of a message that another node has decided about: the same object for all
        sessions here that have it.
        """
        found = self._elsewhere.get((node, number))
        if found is None:
            found = self._elsewhere[node, number] = CopiesElsewhere(account, node, number)
        return found


__all__ = ["MAX_COUNTED", "CopyCounts"]
