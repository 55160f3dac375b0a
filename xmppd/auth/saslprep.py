"""SASLprep: the form of a password that SCRAM's keys are made of (:rfc:`4013`, :rfc:`3454`)."""

import stringprep
from unicodedata import ucd_3_2_0

_PROHIBITED = (
    stringprep.in_table_c12,  # spaces that are not ASCII's
    stringprep.in_table_c21_c22,  # control characters
    stringprep.in_table_c3,  # private use
    stringprep.in_table_c4,  # no characters
    stringprep.in_table_c5,  # surrogates
    stringprep.in_table_c6,  # inappropriate for plain text
    stringprep.in_table_c7,  # inappropriate for canonical representation
    stringprep.in_table_c8,  # change how it is displayed, or are deprecated
    stringprep.in_table_c9,  # tags
    stringprep.in_table_a1,  # unassigned in Unicode 3.2: stored strings have none
)


def saslprep(text: str) -> str:
    """A text as it is stored.

    Raises:
        ValueError: It has no such form, or is empty in it. The message does not quote it.
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if not stringprep.in_table_b1(c)
    )
    prepared = ucd_3_2_0.normalize("NFKC", mapped)
    if not prepared:
        raise ValueError("the text has only characters that are ignored")
    if any(prohibits(c) for c in prepared for prohibits in _PROHIBITED):
        raise ValueError("the text has a character that is not allowed")
    _check_direction(prepared)
    return prepared


def _check_direction(prepared: str) -> None:
    """Text that runs from right to left begins and ends so, and has nothing else (§6)."""
    if not any(map(stringprep.in_table_d1, prepared)):
        return
    if any(map(stringprep.in_table_d2, prepared)) or not (
        stringprep.in_table_d1(prepared[0]) and stringprep.in_table_d1(prepared[-1])
    ):
        raise ValueError("the text mixes two writing directions")


__all__ = ["saslprep"]
