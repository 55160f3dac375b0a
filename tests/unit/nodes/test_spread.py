"""What a single server promises about messages, when its clients are spread over three nodes."""

from tests.plugins import test_carbons
from tests.plugins.test_carbons import ERROR, JULIET, ROMEO, message
from tests.unit.nodes.spread import SpreadHouse
from tests.unit.router import test_message_router


class SpreadMessageTests(test_message_router.MessageTests):
    """RFC 6121 §8: Romeo and Juliet's resources are on different nodes."""

    def setUp(self) -> None:
        self.patch(test_message_router, "House", SpreadHouse)
        super().setUp()


class SpreadCopyTests(test_carbons.CopyTests):
    """Carbons: each of Juliet's resources is on another node."""

    def setUp(self) -> None:
        self.patch(test_carbons, "House", SpreadHouse)
        super().setUp()

    def test_left(self) -> None:
        """Who has left gets no more of them."""
        self.juliet[2].abort()
        self.clear()
        self.romeo.send(message(f"{JULIET}/a"))
        self.assertEqual(self.got(), ["itself", "received", ""])

    def test_error(self) -> None:
        """An error is copied if what it answers was copied, which the node of its sender knows."""
        self.juliet[0].send(message(f"{ROMEO}/1", id="bad"))
        self.clear()
        self.romeo.send(message(f"{JULIET}/a", ERROR, "error", "bad"))
        self.assertEqual(self.got(), ["error", "received", "received"])
        self.romeo.send(message(f"{JULIET}/a", ERROR, "error", "unheard-of"))
        self.assertEqual(self.got(), ["error", "", ""])
