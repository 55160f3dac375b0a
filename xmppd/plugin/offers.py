"""Offers: objects that plugins offer to one another."""

from dataclasses import dataclass

from xmppd.events import Undo


@dataclass(frozen=True)
class Offer:
    """Lets other plugins ask for an object by its class, as they ask for a stage.

    A plugin that asks for one needs the plugin that offers it: that is loaded first, and the two
    are reloaded together.

    Attributes:
        what: The object, of a class that is defined in the plugin itself.
    """

    what: object


class Offers:
    """The place of offers.

    Attributes:
        by_class: Each object, by its class.
    """

    def __init__(self) -> None:
        self.by_class: dict[type, object] = {}

    def put(self, part: Offer, owner: str) -> Undo:
        """Give the object to plugins that ask for its class.

        Raises:
            ValueError: One of its class is offered already.
        """
        kind = type(part.what)
        if kind in self.by_class:
            raise ValueError(f"a {kind.__name__} is offered already")
        self.by_class[kind] = part.what

        def take_out() -> None:
            del self.by_class[kind]

        return take_out


__all__ = ["Offer", "Offers"]
