"""The table ``[push]`` of the configuration."""

from typing import Annotated, Literal

from xmppd.config.section import Mark, Section


class PushSettings(Section, frozen=True):
    """``[push]``: when services of clients are told of messages, and what.

    Attributes:
        include: What they are told beside the fact that there is a message: ``nothing``, who has
            sent it (``sender``), or also the beginning of its text (``body``).
        unacked_s: The time in which a client that is connected has to acknowledge a message.
        min_gap_s: The time between two notifications of one registration; calls do not wait.
    """

    include: Literal["nothing", "sender", "body"] = "nothing"
    unacked_s: float = 20.0
    min_gap_s: Annotated[float, Mark.MAY_BE_ZERO] = 5.0


__all__ = ["PushSettings"]
