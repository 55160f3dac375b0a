"""The table ``[web_client]`` of the configuration."""

from pathlib import Path
from typing import Annotated

from xmppd.config.section import Mark, Section


class WebClientSettings(Section, frozen=True):
    """``[web_client]``: a client that people run in their browser, at ``/client/``.

    Attributes:
        directory: The files of a client that is built, an absolute path; empty for the package
            ``xmppd-web-client``, if that is installed.
    """

    directory: Annotated[str, Mark.RESTART] = ""

    def __post_init__(self) -> None:
        if self.directory and not Path(self.directory).is_absolute():
            raise ValueError("directory must be an absolute path")


__all__ = ["WebClientSettings"]
