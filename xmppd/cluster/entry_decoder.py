"""EntryDecoder: unpacks what another node sends, and checks it like stanzas from a server."""

from collections.abc import Collection
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from msgspec import DecodeError, Meta, Struct
from msgspec.msgpack import Decoder

from xmppd.cluster.entries.any_entry import Answered, AnyEntry, Asking
from xmppd.cluster.entries.entry import BusEntry
from xmppd.stanza import JID

MAX_REASON_LENGTH = 200
"""Of a sentence about what another node sends; it may quote that."""


class BadEntry(ValueError):
    """An error: what another node sends is no entry, or none that it may send."""


class EntryDecoder:
    """Unpacks entries.

    Args:
        domains: That this service serves: no session is of another one.
    """

    def __init__(self, domains: Collection[str]) -> None:
        self._domains = frozenset(domains)
        self._unpack = Decoder(list[AnyEntry]).decode

    def unpack(self, data: bytes) -> list[BusEntry]:
        """The entries of a frame of ours."""
        return self._unpack(data)  # type: ignore[return-value]  # a list of some is one of any

    def decode(self, data: bytes | memoryview) -> list[BusEntry]:
        """The entries of a frame.

        Raises:
            BadEntry: Something in it is unknown, of a wrong type or too long, or an address is
                none, or of a domain that is not served here though it should be (CL-81).
        """
        try:
            entries = self._unpack(data)
            for entry in entries:
                self.check(entry)
        except (DecodeError, ValueError, RecursionError) as error:
            raise BadEntry(str(error)[:MAX_REASON_LENGTH]) from error
        return entries  # type: ignore[return-value]

    def check(self, entry: Struct) -> None:
        """Check the addresses in an entry.

        Raises:
            ValueError: One is none, or of a domain that is not served here though it should be.
        """
        kind = entry.__class__
        if kind is Asking or kind is Answered:
            self._check_within(entry)
        for name, ours in addresses(kind):
            value = getattr(entry, name)
            for text in (value,) if value.__class__ is str else value or ():
                jid = JID.prepared(text)
                if ours and jid.domain not in self._domains:
                    raise BadEntry(f"this server does not serve {jid.domain}")
        for name in parts(kind):
            value = getattr(entry, name)
            for each in value if isinstance(value, list) else (value,):
                if each is not None:
                    self.check(each)

    def _check_within(self, question: Struct) -> None:
        """Check what is asked, or answered."""
        assert isinstance(question, Asking | Answered)
        entry = question.entry
        if isinstance(entry, Asking | Answered):
            raise BadEntry("a question about a question")
        if entry is not None:
            self.check(entry)


@cache
def addresses(kind: type[Struct]) -> tuple[tuple[str, bool], ...]:
    """The fields of this kind of entry that are addresses, or have some, each with whether these
    are of domains that are served here.
    """
    hints = get_type_hints(kind, include_extras=True)
    marked = ((name, _mark(hints[name])) for name in kind.__struct_fields__)
    return tuple((name, mark == "ours") for name, mark in marked if mark)


@cache
def parts(kind: type[Struct]) -> tuple[str, ...]:
    """The fields of this kind of entry that are made of fields themselves, or have some such."""
    if issubclass(kind, Asking | Answered):
        return ()
    hints = get_type_hints(kind, include_extras=True)
    return tuple(name for name in kind.__struct_fields__ if _has_fields(hints[name]))


def _has_fields(hint: Any) -> bool:
    is_struct = isinstance(hint, type) and issubclass(hint, Struct)
    return is_struct or any(map(_has_fields, get_args(hint)))


def _mark(hint: Any) -> str:
    """The mark of an address in a type, or in what that is made of; empty if there is none."""
    if get_origin(hint) is Annotated:
        for meta in hint.__metadata__:
            if isinstance(meta, Meta) and meta.extra:
                return str(meta.extra.get("jid", ""))
    return next(filter(None, map(_mark, get_args(hint))), "")


__all__ = ["MAX_REASON_LENGTH", "BadEntry", "EntryDecoder", "addresses", "parts"]
