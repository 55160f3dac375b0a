"""The version of xmppd."""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata


@cache
def version() -> str:
    """The version of xmppd that is installed."""
    try:
        return metadata("xmppd")["Version"]
    except PackageNotFoundError:
        return "from a checkout"
