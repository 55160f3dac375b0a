"""Where the file says what: the line of an option, for sentences about it."""

import re
from pathlib import Path

_HEADER = re.compile(r"\s*(\[\[?)\s*([\w.-]+)\s*\]")
_KEY = re.compile(r"\s*([\w-]+(?:\s*\.\s*[\w-]+)*)\s*=")
_NAME = re.compile(r"[a-z]\w*(?:\[\d+\])?(?:\.[a-z]\w*(?:\[\d+\])?)*")


def line_of(text: str, option: str) -> int:
    """The line where an option is set, or that of the innermost table around it that is there.

    Args:
        text: The file.
        option: Such as ``stream.stanzas_per_s``, or ``domain[2].key`` in the second of its tables.

    Returns:
        Its number, from 1; 0 if neither is there.
    """
    wanted = re.sub(r"\[1\]", "", option)
    best, length = 0, 0
    table, seen = "", dict[str, int]()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = header[2]
            seen[table] = seen.get(table, 0) + 1
            if header[1] == "[[" and seen[table] > 1:
                table = f"{table}[{seen[table]}]"
            name = table
        elif key := _KEY.match(line):
            name = f"{table}.{key[1]}".lstrip(".").replace(" ", "")
        else:
            continue
        if len(name) > length and f"{wanted}.".startswith(f"{name}."):
            best, length = number, len(name)
    return best


def placed(path: Path, text: str, sentence: str, option: str = "") -> str:
    """A sentence about an option behind the place of it: ``/etc/xmppd/xmppd.toml:12: …``.

    Args:
        path: The file.
        text: Its content.
        sentence: About it.
        option: The one meant; as a rule, the first word of the sentence.
    """
    named = _NAME.match(sentence)
    line = line_of(text, option or (named[0] if named else ""))
    return f"{path}:{line}: {sentence}" if line else f"{path}: {sentence}"


__all__ = ["line_of", "placed"]
