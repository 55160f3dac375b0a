"""Stages that may be replaced and watched while the server runs."""

from functools import cache
from typing import TypeVar, cast

T = TypeVar("T")

_STAGE_OF: dict[type, type] = {}


@cache
def replaceable(stage: type[T]) -> type[T]:
    """A plain subclass of a stage's class, to make the stage of.

    An object may only become one of another class that keeps its attributes in the same way. Among
    the plain subclasses of one class all do, whatever that one does itself.
    """
    kind = type(stage.__name__, (stage,), {"__module__": stage.__module__})
    _STAGE_OF[kind] = stage
    return cast(type[T], kind)


def class_of(stage: object) -> type:
    """The class by which others know a stage, be it made as a replaceable one or not."""
    kind = stage.__class__
    return _STAGE_OF.get(kind, kind)
