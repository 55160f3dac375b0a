"""Queries about many accounts at once, of a few fixed sizes, so that each is compiled once."""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice, repeat

from sqlalchemy import BindParameter, Column, ColumnElement, bindparam

from xmppd.store.columns import digest

MAX_NAMES_PER_QUERY = 500
QUERY_SIZES = (1, 8, 32, 128, MAX_NAMES_PER_QUERY)


def chunks(accounts: Iterable[str]) -> Iterator[dict[bytes, str]]:
    """The accounts by their owners, so many at a time as one query takes."""
    remaining = iter(dict.fromkeys(accounts))
    while chunk := list(islice(remaining, MAX_NAMES_PER_QUERY)):
        yield {digest(account): account for account in chunk}


def owner_parameters(owners: Sequence[bytes], name: str = "owner") -> dict[str, bytes]:
    """Parameters of :func:`one_of`: the last one again and again, up to a size that there is."""
    size = next(size for size in QUERY_SIZES if size >= len(owners))
    padding = repeat(owners[-1], size - len(owners))
    return dict(zip(_names(size, name), chain(owners, padding), strict=True))


def one_of(owner: Column[bytes], size: int, name: str = "owner") -> ColumnElement[bool]:
    """Whether a row belongs to one of so many owners.

    Args:
        owner: Of the row; another digest can be looked for in the same way.
        size: How many there are, one of :data:`QUERY_SIZES`.
        name: What the parameters are called.
    """
    names: list[BindParameter[bytes]] = [bindparam(each) for each in _names(size, name)]
    return owner.in_(names)


@lru_cache(maxsize=4 * len(QUERY_SIZES))
def _names(size: int, name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{number}" for number in range(size))


__all__ = ["MAX_NAMES_PER_QUERY", "QUERY_SIZES", "chunks", "one_of", "owner_parameters"]
