"""The table ``[archive]`` of the configuration."""

from xmppd.config.section import Section

MAX_FLUSH_MS = 10_000


class ArchiveSettings(Section, frozen=True):
    """``[archive]``: what is kept of conversations, and for how long.

    Attributes:
        flush_ms: The time after which a message is written, if nobody waits for that; what came
            within it may be missing after a power failure, if its sender was not told that it was
            handled.
    """

    flush_ms: int = 100

    def __post_init__(self) -> None:
        if self.flush_ms > MAX_FLUSH_MS:
            raise ValueError(f"messages are written after {MAX_FLUSH_MS} ms at most")


__all__ = ["ArchiveSettings"]
