"""The table ``[guestbook]`` of the configuration."""

from typing import Annotated

from xmppd.config.section import Mark, Section

MAX_ENTRIES = 10_000


class GuestbookSettings(Section, frozen=True):
    """``[guestbook]``: the limits of each account's book.

    Attributes:
        max_entries: The entries that one book has room for; then its owner has to erase some.
        max_entry_bytes: The bytes of one entry.
        kept_s: The time for which an entry is kept; 0 for ever.
        on_the_web: The accounts whose books everybody may read and sign with a browser.
    """

    max_entries: int = 100
    max_entry_bytes: int = 500
    kept_s: Annotated[float, Mark.MAY_BE_ZERO] = 0.0
    on_the_web: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_entries > MAX_ENTRIES:
            raise ValueError(f"a guestbook may have at most {MAX_ENTRIES} entries")


__all__ = ["GuestbookSettings"]
