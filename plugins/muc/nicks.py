"""Nicks: what one may be, and which two are taken for the same."""

from functools import lru_cache
from unicodedata import normalize

from xmppd.stanza import Condition, StanzaError
from xmppd.stanza.jid import MAX_PART_BYTES, prepare_resource

MAX_FOLDED = 16_384
"""Nicks whose folded form is remembered."""


def check_nick(text: str) -> str:
    """Let a text be a nick (RM-11).

    Returns:
        It as it is shown: prepared as the resource that it becomes.

    Raises:
        StanzaError: NOT_ACCEPTABLE: it is empty, white space, or has characters that nobody sees;
            JID_MALFORMED: it is too long.
    """
    if not text.strip():
        raise StanzaError(Condition.NOT_ACCEPTABLE, "a nick must have letters")
    if len(text.encode()) > MAX_PART_BYTES:
        raise StanzaError(
            Condition.JID_MALFORMED, f"a nick may have at most {MAX_PART_BYTES} bytes"
        )
    try:
        return prepare_resource(text)
    except ValueError as error:
        raise StanzaError(Condition.NOT_ACCEPTABLE, f"this cannot be a nick: {error}") from error


@lru_cache(MAX_FOLDED)
def folded(nick: str) -> str:
    """What a nick has in common with all that look like it: case, width and spaces are left out
    (RM-11).
    """
    wide = normalize("NFKC", nick).casefold()
    return " ".join(normalize("NFKC", wide).split())


__all__ = ["check_nick", "folded"]
