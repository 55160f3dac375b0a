"""Reads :xep:`0227`: one file, or many by XInclude."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from xmppd.migration import pie
from xmppd.migration.person import Person, SourceError
from xmppd.stanza import Tree, ns, qname
from xmppd.stanza.xml import write
from xmppd.stanza.xml_file import XMLFile, XMLStep
from xmppd.store.rosters import RosterItem

MAX_ELEMENT_BYTES = 16 << 20
"""Of what cannot be taken in parts, such as a card."""

PART_BYTES = 1 << 16
"""Behind so many, a person comes in another part."""

MAX_CONTACTS = 100_000
MAX_INCLUDES = 4
"""Files that include one another."""

_SERVER, _HOST, _USER = (qname(pie.NS, name) for name in ("server-data", "host", "user"))
_MESSAGES = qname(pie.NS, "offline-messages")
_INCLUDE = qname(pie.XINCLUDE, "include")
_PUBSUB = "http://jabber.org/protocol/pubsub"
_ITEMS = qname(_PUBSUB, "items")
_LONG = (
    _MESSAGES,
    qname(f"{pie.NS}#mam", "archive"),
    qname(_PUBSUB, "pubsub"),
    qname(f"{_PUBSUB}#owner", "pubsub"),
)
"""The elements that may be long: what is in them is taken as it comes."""


class XEP0227Reader:
    """The people of a file, or of a directory with a main file.

    Args:
        source: The file or directory. Nothing outside of its directory is read.
    """

    def __init__(self, source: Path) -> None:
        self._main = source / pie.MAIN_FILE if source.is_dir() else source
        self._root = self._main.parent.resolve()
        self._open: list[Tree] = []
        self._includes = 0
        self._domain = ""
        self._person = Person("", "")
        self._contacts: dict[str, RosterItem] = {}
        self._requests: dict[str, bytes] = {}
        self._begun = 0

    def people(self) -> Iterator[Person]:
        """All of them, in the order of the file.

        Raises:
            SourceError: Something cannot be read; the text names the file and the line.
        """
        yield from self._file(self._main)

    def close(self) -> None:
        """Be done with it: each file is closed where it ends."""

    def left_behind(self) -> list[str]:
        """What there is beside people: such files have nothing else."""
        return []

    def _file(self, path: Path, *, is_inside: bool = False) -> Iterator[Person]:
        """The people of a file.

        Args:
            path: It.
            is_inside: Whether only what is in its root is meant.
        """
        file = XMLFile(path, MAX_ELEMENT_BYTES)
        self._begun = 0
        try:
            for step in file.steps():
                if is_inside and not step.around.tag:
                    _check_root(step)
                    continue
                for person in self._step(step):
                    yield person
                    file.release(step.offset)
                if len(self._open) < 3:
                    file.release(step.offset)
        except OSError as error:
            raise SourceError(f"{path} cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise SourceError(f"{path}, {error}") from error

    def _step(self, step: XMLStep) -> Iterator[Person]:
        if not step.is_end:
            self._open.append(step.element)
            self._start(step)
            return
        self._open.pop()
        depth, element = len(self._open), step.element
        if depth > 3:
            if step.offset - self._begun > PART_BYTES and self._may_cut(depth):
                self._keep(_cut(self._open[3:]))
                yield self._part(step.offset)
            return
        step.around.remove(element)
        if element.tag == _INCLUDE:
            yield from self._include(element, step.line)
            self._begun = step.offset
        elif depth == 3:
            self._keep(element)
            if step.offset - self._begun > PART_BYTES:
                yield self._part(step.offset)
        elif depth == 2 and element.tag == _USER:
            yield self._last()

    def _may_cut(self, depth: int) -> bool:
        """Whether what has just ended is whole by itself, such as one of many items."""
        within_items = depth == 5 and self._open[4].tag == _ITEMS
        return self._open[3].tag in _LONG and (depth == 4 or within_items)

    def _start(self, step: XMLStep) -> None:
        depth, element = len(self._open), step.element
        if depth == 1:
            _check_root(step)
        if depth == 2 and element.tag == _HOST:
            self._domain = element.get("jid", "")
        elif depth == 3 and element.tag == _USER:
            self._begun = step.offset
            self._contacts, self._requests = {}, {}
            name, password = element.get("name", ""), element.get("password")
            self._person = Person(name, self._domain, password=password)

    def _part(self, offset: int) -> Person:
        """What there is of the person so far; the rest comes later."""
        part, self._begun = self._person, offset
        part.ends = False
        self._person = Person(part.name, part.domain, begins=False)
        return part

    def _last(self) -> Person:
        """The rest of the person, with contacts, since what asks may stand behind a roster."""
        person = self._person
        for jid, request in self._requests.items():
            known = self._contacts.get(jid, RosterItem(jid))
            self._contacts[jid] = replace(known, pending_in=request)
        person.contacts = list(self._contacts.values())
        return person

    # -- what is in a person ----------------------------------------------------------------------

    def _keep(self, element: Tree) -> None:
        person, tag = self._person, element.tag
        if tag == qname(ns.ROSTER, "query"):
            self._contacts.update((item.jid, item) for item in pie.read_roster(element))
            if len(self._contacts) > MAX_CONTACTS:
                raise ValueError(f"{person.name} has more than {MAX_CONTACTS} contacts")
        elif tag == qname(ns.CLIENT, "presence"):
            if element.get("type") == "subscribe" and len(self._requests) < MAX_CONTACTS:
                self._requests[element.get("from", "").partition("/")[0]] = write(element)
        elif tag == _MESSAGES:
            person.messages += [each for each in element if each.tag == qname(ns.CLIENT, "message")]
        elif tag == qname(pie.SCRAM, "scram-credentials"):
            try:
                person.keys.append(pie.read_keys(element))
            except ValueError as error:
                person.left_out.append(str(error))
        elif tag == qname(pie.SCRAM_TWICE, "scram-credentials"):
            pass  # the same keys stand beside it
        elif tag == qname(pie.ACCOUNT, "account"):
            person.created = pie.moment_of(element.get("created"))
            person.last_seen = pie.moment_of(element.get("last-seen"))
            person.status = element.text
            person.disabled = element.get("disabled") == "true"
            person.disabled_until = pie.moment_of(element.get("disabled-until"))
        else:
            person.data.append(element)

    # -- other files ------------------------------------------------------------------------------

    def _include(self, element: Tree, line: int) -> Iterator[Person]:
        href = element.get("href", "")
        parts = urlsplit(href)
        path = (self._root / unquote(parts.path)).resolve()
        # A host of a whole document, as our export has it, or all of a part of one.
        is_inside = len(self._open) == 1 and element.get("xpointer") == pie.HOST_OF
        known = {"href", "xpointer"} if is_inside else {"href"}
        if parts.scheme or parts.netloc or not parts.path or element.attrib.keys() - known:
            raise ValueError(f"line {line}: only files in the same directory can be included")
        if not path.is_relative_to(self._root):
            raise ValueError(f"line {line}: {href} is outside of {self._root}, and is not read")
        if self._includes == MAX_INCLUDES:
            raise ValueError(
                f"line {line}: files include each other more than {MAX_INCLUDES} times"
            )
        self._includes += 1
        yield from self._file(path, is_inside=is_inside)
        self._includes -= 1


def _check_root(step: XMLStep) -> None:
    if step.element.tag != _SERVER:
        raise ValueError(f"line {step.line}: not a file of user data (XEP-0227)")


def _cut(opened: list[Tree]) -> Tree:
    """What has ended in these elements, each in the one before, is taken out, in others of the same
    names.
    """
    inner: Tree | None = None
    for each in reversed(opened):
        shell = Tree(each.tag, each.attrib)
        shell.extend(each)
        del each[:]
        if inner is not None:
            shell.append(inner)
        inner = shell
    assert inner is not None, "at least one is open"
    return inner


__all__ = ["PART_BYTES", "XEP0227Reader"]
