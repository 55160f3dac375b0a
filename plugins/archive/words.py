"""Words of messages, as they are searched for (QU-18)."""

import re
from unicodedata import combining, normalize

from xmppd.stanza.xml import read

MAX_WORDS = 1_000
"""Of one message; those behind are not found."""
MAX_WORD_LENGTH = 64
"""In characters; of a longer one the beginning counts."""

_WORD = re.compile(r"[^\W_]+").findall
_ENCRYPTED = frozenset(
    (
        "{eu.siacs.conversations.axolotl}encrypted",
        "{urn:xmpp:omemo:2}encrypted",
        "{urn:xmpp:openpgp:0}openpgp",
        "{jabber:x:encrypted}x",
    )
)


def words_in(text: str) -> list[str]:
    """The words of a text, each once: without case, and without accents."""
    plain = "".join(each for each in normalize("NFKD", text.casefold()) if not combining(each))
    return list(dict.fromkeys(word[:MAX_WORD_LENGTH] for word in _WORD(plain)))


def words_of(stanza: bytes) -> list[str]:
    """The words of a message as it is kept; none of one that is encrypted, or is no message."""
    try:
        tree = read(stanza)
    except ValueError:
        return []
    body = tree.findtext("body")
    if not body or any(child.tag in _ENCRYPTED for child in tree):
        return []
    return words_in(body)[:MAX_WORDS]


__all__ = ["MAX_WORDS", "words_in", "words_of"]
