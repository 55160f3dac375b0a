"""printable: a text that can be shown anywhere, whoever wrote it.

Nothing here needs more than the standard library's core: xmppctl loads it each time.
"""


def printable(text: str) -> str:
    """A text in which characters that could move a terminal's cursor or hide text are spelled out.

    Line feeds are spelled out as well.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


__all__ = ["printable"]
