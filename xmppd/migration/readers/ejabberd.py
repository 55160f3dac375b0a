"""Reads what ejabberd keeps, in whichever of its forms."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from xmppd.migration import elements, pie
from xmppd.migration.person import Person
from xmppd.migration.readers.erlang_terms import Atom, ErlangValue, value_of
from xmppd.stanza import Tree, escape, ns
from xmppd.stanza.xml import write
from xmppd.store.rosters import RosterItem
from xmppd.store.scram_keys import ScramKeys

MATCHES = ("iq", "message", "presence-in", "presence-out")
"""The kinds of stanzas that a rule of a privacy list may be about, in ejabberd's order."""

_SUBSCRIPTIONS = ("none", "to", "from", "both")
_ASKS_OUT = ("out", "both", "subscribe")
_ASKS_IN = ("in", "both")
_HASHES = ("sha:", "sha1:", "sha256:", "sha512:")


class EjabberdReader(ABC):
    """The people of an ejabberd. A record that cannot be read is left out, with a note."""

    def people(self) -> Iterator[Person]:
        """All of them.

        Raises:
            SourceError: Something cannot be read; the text says where.
        """
        for name, domain in self.names():
            person = Person(name, domain)
            self.take_account(person)
            self.take_contacts(person)
            self.take_small(person)
            yield from elements.in_parts(person, self.long(person), self.waiting(person))

    @abstractmethod
    def close(self) -> None:
        """Be done with the source."""

    @abstractmethod
    def left_behind(self) -> list[str]:
        """What there is beside people, and is not read: a few words each."""

    @abstractmethod
    def names(self) -> Iterator[tuple[str, str]]:
        """Those who have an account, each with the domain; whoever logs in by something that knows
        the passwords elsewhere has a roster at least.
        """

    @abstractmethod
    def take_account(self, person: Person) -> None:
        """Take the password, or its keys, and when somebody was there last."""

    @abstractmethod
    def take_contacts(self, person: Person) -> None:
        """Take the roster."""

    @abstractmethod
    def take_small(self, person: Person) -> None:
        """Take what is not long: card, private storage, lists, preferences."""

    @abstractmethod
    def waiting(self, person: Person) -> Iterator[Tree]:
        """The messages that wait."""

    @abstractmethod
    def long(self, person: Person) -> Iterator[Tree]:
        """Nodes and the archive."""


# --- what both forms have ------------------------------------------------------------------------


def keys_of(stored: str, server: str, salt: str, iterations: int) -> ScramKeys:
    """Keys as ejabberd has them: in base64, the stored one behind the name of its hash or not.

    Raises:
        ValueError: They are none.
    """
    for prefix in _HASHES:
        stored = stored.removeprefix(prefix)
    stored_key, server_key, salt_bytes = map(pie.base64_bytes, (stored, server, salt))
    return pie.keys_of(stored_key, server_key, salt_bytes, iterations)


def contact(
    jid: str, name: str, subscription: str, ask: str, groups: Iterable[str], asks: str
) -> RosterItem:
    """A contact.

    Args:
        jid: Its address.
        name: As the account calls it.
        subscription: A word of the roster.
        ask: Who waits for an answer: ``in``, ``out``, ``both`` or none of them.
        groups: Those that it is in.
        asks: With what words it has asked.
    """
    request = None
    if ask in _ASKS_IN:
        request = elements.made(ns.CLIENT, "presence", type="subscribe")
        if asks:
            status = elements.made(ns.CLIENT, "status")
            status.text = asks
            request.append(status)
    return RosterItem(
        jid,
        name,
        tuple(dict.fromkeys(filter(None, groups))),
        subscription if subscription in _SUBSCRIPTIONS else "none",
        ask=ask in _ASKS_OUT,
        pending_in=None if request is None else write(request),
    )


def node(
    name: str,
    options: Mapping[str, ErlangValue],
    affiliations: Mapping[str, str],
    subscriptions: Sequence[str],
) -> Tree:
    """How a node is."""
    fields = {key: values for key, value in options.items() if (values := _field(value))}
    return elements.node(name, fields, affiliations, subscriptions)


def _field(value: ErlangValue) -> tuple[str, ...]:
    """The values of a field of a form; none if it stays as it is by default."""
    if isinstance(value, list):
        return tuple(each for one in value for each in _field(one))
    if value in (Atom("true"), Atom("false")):
        return ("1" if value == "true" else "0",)
    if isinstance(value, Atom):
        return () if value in ("undefined", "none") else (str(value),)
    if isinstance(value, int):
        return (str(value),)
    return (text(value),) if isinstance(value, bytes) else ()


# --- values of Erlang -----------------------------------------------------------------------------


def text(value: object) -> str:
    """A text.

    Raises:
        ValueError: It is none.
    """
    if value == []:
        return ""
    if not isinstance(value, bytes):
        raise ValueError("a value is not text")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ValueError("a text is not UTF-8") from error


def address(value: object) -> str:
    """An address, of its parts.

    Raises:
        ValueError: It is none.
    """
    match value:
        case ("jid", user, server, resource, *_) | (user, server, resource):
            local, domain, rest = map(text, (user, server, resource))
        case (user, server):
            local, domain, rest = text(user), text(server), ""
        case _:
            raise ValueError("a value is not an address")
    return f"{local}@{domain}".removeprefix("@") + (f"/{rest}" if rest else "")


def microseconds(value: object) -> int:
    """A moment, in microseconds since 1970.

    Raises:
        ValueError: It is none.
    """
    match value:
        case (int(mega), int(seconds), int(micro)):
            return (mega * 1_000_000 + seconds) * 1_000_000 + micro
    raise ValueError("a value is not a time")


def xml(value: object) -> Tree:
    """An element.

    Raises:
        ValueError: It is none.
    """
    return elements.parsed("".join(_written(value)))


def _written(value: object) -> Iterator[str]:
    match value:
        case ("xmlcdata", content):
            yield escape(text(content))
        case ("xmlel", tag, attributes, inside) | ("xmlelement", tag, attributes, inside):
            name = text(tag)
            yield f"<{name}"
            for key, content in pairs(attributes):
                yield f" {text(key)}='{escape(text(content))}'"
            yield ">"
            for each in inside if isinstance(inside, list) else ():
                yield from _written(each)
            yield f"</{name}>"
        case _:
            raise ValueError("a value is not an element")


def pairs(value: object) -> Iterator[tuple[ErlangValue, ErlangValue]]:
    """The pairs of a list.

    Raises:
        ValueError: It has something else.
    """
    for each in value if isinstance(value, list) else ():
        match each:
            case (key, content):
                yield key, content
            case _:
                raise ValueError("a value is not a pair")


def addresses(value: object) -> list[str]:
    """The addresses in a list.

    Raises:
        ValueError: One is none.
    """
    return [address(each) for each in value] if isinstance(value, list) else []


def term(written: str) -> ErlangValue:
    """A term that is kept as text.

    Raises:
        ValueError: It is none.
    """
    return value_of(written.encode())


def moment(value: object) -> float | None:
    """The seconds since 1970 of a column with a moment; None if nobody knows."""
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


__all__ = ["EjabberdReader", "address", "addresses", "contact", "keys_of", "microseconds", "moment",
           "node", "pairs", "term", "text", "xml"]  # fmt: skip
