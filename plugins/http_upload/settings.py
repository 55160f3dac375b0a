"""The table ``[http_upload]`` of the configuration."""

from pathlib import Path
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
        external_url: The URL of a share service that takes the files instead, and checks their
            slots by the same secret.
        s3_url: The URL of a bucket of S3 that takes them instead.
        s3_region: The region of that.
        s3_key: The id of the key with which URLs are signed.
        secret_file: The file with that key, or with the secret of the share service; an absolute
            path.
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
    external_url: Annotated[str, Mark.RESTART] = ""
    s3_url: Annotated[str, Mark.RESTART] = ""
    s3_region: Annotated[str, Mark.RESTART] = "us-east-1"
    s3_key: Annotated[str, Mark.RESTART] = ""
    secret_file: Annotated[str, Mark.RESTART] = ""

    def __post_init__(self) -> None:
        for name in ("max_account_bytes", "max_account_bytes_per_day"):
            if getattr(self, name) < self.max_file_bytes:
                raise ValueError(f"{name} must be at least max_file_bytes")
        if self.external_url and self.s3_url:
            raise ValueError("set either external_url or s3_url, not both")
        for url in (self.external_url, self.s3_url):
            if url and not (url.startswith(("https://", "http://")) and "?" not in url):
                raise ValueError(
                    f"{url} is not a service URL; write it as https://files.example.org"
                )
        if self.is_elsewhere and not Path(self.secret_file).is_absolute():
            raise ValueError("secret_file must be the absolute path of the storage's secret")
        if self.s3_url and not self.s3_key:
            raise ValueError("s3_key is missing; set it to the id of the key in secret_file")

    @property
    def is_elsewhere(self) -> bool:
        """Whether another service has the files."""
        return bool(self.external_url or self.s3_url)


__all__ = ["UploadSettings"]
