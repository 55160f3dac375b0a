"""Script: something that Redis does in one step."""

from hashlib import sha1


class Script:
    """A script in Lua, which Redis knows by the digest of its text.

    Args:
        text: Has its keys in ``KEYS`` and all else in ``ARGV``. What it refuses it says by
            ``redis.error_reply`` with a word and a text.

    Attributes:
        digest: Of the text.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


__all__ = ["Script"]
