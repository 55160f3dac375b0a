"""The table ``[archive]`` of the configuration."""

from typing import Annotated, Literal

from xmppd.config.section import Mark, Section

MAX_FLUSH_MS = 10_000
MAX_AGE_DAYS = 36_500

Default = Literal["always", "never", "roster"]
"""Whether the message of somebody who is not named is archived; the roster is one's contacts."""


class ArchiveSettings(Section, frozen=True):
    """``[archive]``: what is kept of conversations, and for how long.

    Attributes:
        max_age_days: The days for which a message is kept; 0 for ever.
        max_messages: The messages that one archive may have; 0 for any number.
        max_bytes: The same in bytes.
        min_free_bytes: With less room on the disk nothing more is archived, and messages are
            delivered all the same.
        flush_ms: The time after which a message is written, if nobody waits for that; what came
            within it may be missing after a power failure, if its sender was not told that it was
            handled.
        default: What is archived of accounts that want nothing else.
        preferences: Whether an account may want something else.
        full_text: Whether messages can be searched; it costs as much again as keeping them.
    """

    max_age_days: Annotated[int, Mark.MAY_BE_ZERO] = 0
    max_messages: Annotated[int, Mark.MAY_BE_ZERO] = 0
    max_bytes: Annotated[int, Mark.MAY_BE_ZERO] = 1_073_741_824
    min_free_bytes: Annotated[int, Mark.MAY_BE_ZERO] = 1_073_741_824
    flush_ms: int = 100
    default: Default = "always"
    preferences: bool = True
    full_text: Annotated[bool, Mark.RESTART] = False

    def __post_init__(self) -> None:
        if self.flush_ms > MAX_FLUSH_MS:
            raise ValueError(f"flush_ms must be at most {MAX_FLUSH_MS}")
        if self.max_age_days > MAX_AGE_DAYS:
            raise ValueError(
                f"max_age_days must be at most {MAX_AGE_DAYS}; 0 keeps messages for ever"
            )


__all__ = ["MAX_AGE_DAYS", "MAX_FLUSH_MS", "ArchiveSettings", "Default"]
