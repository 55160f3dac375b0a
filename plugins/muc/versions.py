"""Versions of a room's lists, as they are on the wire (:xep:`0463`)."""

from hmac import digest

from xmppd.stanza import escape

from .names import AFFILIATIONS


def version_name(key: bytes, number: int) -> str:
    """A version of a room's lists as clients know it: a room that is made anew has others.

    Args:
        key: Of the room.
        number: Of the version.
    """
    return f"{digest(key, b'lists', 'sha256')[:4].hex()}-{number}"


def since_until(since: str, until: str) -> str:
    """From which version to which something leads, as XML; one that is empty is left out."""
    begin = f" since='{escape(since)}'" if since else ""
    return f"<mav xmlns='{AFFILIATIONS}'{begin} until='{escape(until)}'/>"


def step(key: bytes, number: int) -> str:
    """What is said of the change that has made a version, as XML."""
    return since_until(version_name(key, number - 1), version_name(key, number))


__all__ = ["since_until", "step", "version_name"]
