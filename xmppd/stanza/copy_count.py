"""The number of sessions that have a message."""

from typing_extensions import override


class Copies:
    """The number of an account's sessions that have a message, or have had and read it (CA-7).

    Attributes:
        account: Bare JID.
        left: That number; a session that ends without having read it is subtracted.
        number: By which other nodes give a message back to this one; 0 if no session of another
            node has it.
    """

    __slots__ = ("account", "left", "number")

    def __init__(self, account: str, left: int) -> None:
        self.account = account
        self.left = left
        self.number = 0

    def give_back(self) -> bool:
        """Note that a session has ended and had not read it; returns whether no other one has it or
        has read it.
        """
        self.left -= 1
        return self.left <= 0


class CopiesElsewhere(Copies):
    """The same of a message that another node has decided about, which counts its copies.

    Attributes:
        node: That node.
        number: By which it knows the message.
    """

    __slots__ = ("__weakref__", "node")

    def __init__(self, account: str, node: object, number: int) -> None:
        super().__init__(account, 1)
        self.node = node
        self.number = number

    @override
    def give_back(self) -> bool:
        """True: that node is asked whether it is the last."""
        return True
