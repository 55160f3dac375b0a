"""The settings of temporary servers."""

from typing import Annotated

from xmppd.config.section import Mark, Section


class FaultSettings(Section, frozen=True):
    """``[faults]``: whose server this is.

    Attributes:
        parent: The process with which the server ends; 0 for none.
        directory: The absolute path of what is removed then; empty for nothing.
    """

    parent: Annotated[int, Mark.MAY_BE_ZERO] = 0
    directory: str = ""
