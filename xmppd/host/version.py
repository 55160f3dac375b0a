"""The version of xmppd."""

from importlib.metadata import PackageNotFoundError, metadata


def version() -> str:
    """The version of xmppd that is installed."""
    try:
        return metadata("xmppd")["Version"]
    except PackageNotFoundError:
        return "from a checkout"
