"""The table ``[http_upload]`` of the configuration."""

from typing import Annotated

from xmppd.config.section import Mark, Section


class UploadSettings(Section, frozen=True):
    """``[http_upload]``: files that accounts upload, and everybody with their URL reads.

    Attributes:
        directory: The directory of the files.
        shared: Whether all nodes of a service have the same directory, as several must.
        max_file_bytes: The largest file.
        max_account_bytes: All files of an account.
        max_account_bytes_per_day: What an account uploads in 24 hours.
        max_account_files_per_day: The files that an account uploads in 24 hours.
        min_free_bytes: What stays free on the disk.
        kept_s: The time for which a file is kept; 0 for ever.
        permanent: Whether a client may ask for a file to be kept for ever.
    """

    directory: Annotated[str, Mark.RESTART, Mark.IN_DATA] = "uploads"
    shared: Annotated[bool, Mark.RESTART] = False
    max_file_bytes: int = 104_857_600
    max_account_bytes: int = 2_147_483_648
    max_account_bytes_per_day: int = 1_073_741_824
    max_account_files_per_day: int = 1_000
    min_free_bytes: Annotated[int, Mark.MAY_BE_ZERO] = 268_435_456
    kept_s: Annotated[float, Mark.MAY_BE_ZERO] = 2_592_000.0
    permanent: bool = False

    def __post_init__(self) -> None:
        for name in ("max_account_bytes", "max_account_bytes_per_day"):
            if getattr(self, name) < self.max_file_bytes:
                raise ValueError(f"{name} is less than one file of max_file_bytes may have")


__all__ = ["UploadSettings"]
