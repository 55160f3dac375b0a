"""Section: one table of the file as a frozen struct, and the marks of its fields."""

from enum import Enum
from typing import Annotated, get_args, get_origin

from msgspec import Struct
from msgspec.structs import FieldInfo


class Mark(Enum):
    """A mark of a field or a table, beside its type and its default.

    A number that is not marked must be greater than zero, and a change applies at once.
    """

    RESTART = "a change needs a restart"
    MAY_BE_ZERO = "zero means none"
    APART = "not an option of the file"
    IN_DATA = "a path, below the data directory unless it is absolute"


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One table of the file; a key it does not know stops the start.

    Conditions on several fields are checked in ``__post_init__``, which raises ValueError.
    """


def is_marked(field: FieldInfo, mark: Mark) -> bool:
    """Whether a field carries this mark."""
    return get_origin(field.type) is Annotated and mark in field.type.__metadata__


def type_of(field: FieldInfo) -> object:
    """The type of a field, without its marks."""
    return field.type.__origin__ if get_origin(field.type) is Annotated else field.type


def section_of(field: FieldInfo) -> type[Section] | None:
    """The struct of a field that is a table, or an array of tables; None if it is neither."""
    kind = type_of(field)
    for each in (kind, *get_args(kind)):
        if isinstance(each, type) and issubclass(each, Section):
            return each
    return None


__all__ = ["Mark", "Section", "is_marked", "section_of", "type_of"]
