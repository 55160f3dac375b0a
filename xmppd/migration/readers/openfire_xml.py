"""Reads what Openfire's plugin User Import Export writes: people with their rosters."""

from collections.abc import Iterator
from pathlib import Path

from xmppd.migration.elements import sound
from xmppd.migration.person import Person, SourceError
from xmppd.migration.readers.openfire import card, contact
from xmppd.stanza import Tree
from xmppd.stanza.xml_file import XMLFile
from xmppd.store.rosters import RosterItem

MAX_PERSON_BYTES = 16 << 20
ROOT = "Openfire"


class OpenfireXMLReader:
    """The people of a file.

    Args:
        source: The file.
        host: The domain of everybody, which such files do not say.
    """

    def __init__(self, source: Path, host: str) -> None:
        self._path = source
        self._host = host

    def people(self) -> Iterator[Person]:
        """All of them.

        Raises:
            SourceError: The file cannot be read; the text says where.
        """
        if not self._host:
            raise SourceError("such a file does not name the accounts' domain: use --host")
        file, depth = XMLFile(self._path, MAX_PERSON_BYTES), 0
        try:
            for step in file.steps():
                depth += -1 if step.is_end else 1
                if not step.is_end and depth == 1 and step.element.tag != ROOT:
                    raise ValueError(f"line {step.line}: not an export of Openfire")
                if step.is_end and depth == 1:
                    step.around.remove(step.element)
                    if step.element.tag == "User":
                        yield self._person(step.element)
                    file.release(step.offset)
        except OSError as error:
            raise SourceError(f"{self._path} cannot be read ({error.strerror or error})") from error
        except ValueError as error:
            raise SourceError(f"{self._path}, {error}") from error

    def close(self) -> None:
        """Be done with it: the file is closed where it ends."""

    def left_behind(self) -> list[str]:
        """What there is beside people: such files have nothing else."""
        return []

    def _person(self, tree: Tree) -> Person:
        person = Person(tree.findtext("Username") or "", self._host)
        person.password = tree.findtext("Password") or None
        created = tree.findtext("CreationDate") or ""
        person.created = int(created) / 1e3 if created.isdecimal() and len(created) < 16 else None
        person.data += card(tree.findtext("Name") or "", tree.findtext("Email") or "")
        items = tree.iterfind("Roster/Item")
        found = sound(person.left_out, "contact", items, _contact)
        person.contacts += [each for each in found if each is not None]
        return person


def _contact(item: Tree) -> RosterItem | None:
    states = [item.get(name, "-1") for name in ("substatus", "askstatus", "recvstatus")]
    groups = [group.text or "" for group in item.iterfind("Group")]
    return contact(item.get("jid", ""), item.get("name", ""), states, groups)


__all__ = ["OpenfireXMLReader"]
