"""What tests of queries have in common."""

from typing import NamedTuple
from xml.etree import ElementTree

from tests.plugins.archive.archives import ArchiveCase
from xmppd.stanza.form import DATA
from xmppd.stanza.result import MAM
from xmppd.stanza.rsm import RSM
from xmppd.testing.client import Client

FIN = f"{{{MAM}}}fin"
RESULT = f"{{{MAM}}}result"
_ENDS = ("first", "last", "count")


class Answer(NamedTuple):
    """What came for a query.

    Attributes:
        said: The texts of the messages, in the order in which they came.
        ids: Their ids.
        complete: Whether nothing lies beyond.
        first: The id of the first message of the page.
        last: That of the last one.
        total: The number of messages, if it was told.
        error: The condition of an error; empty if there is none.
        text: For people.
    """

    said: list[str]
    ids: list[str]
    complete: bool
    first: str | None
    last: str | None
    total: str | None
    error: str
    text: str


def fields(*given: tuple[str, str] | tuple[str, list[str]]) -> str:
    """A form that is submitted, with names and values."""
    lines = ""
    for name, value in (("FORM_TYPE", MAM), *given):
        values = [value] if isinstance(value, str) else value
        lines += f"<field var='{name}'>{''.join(f'<value>{v}</value>' for v in values)}</field>"
    return f"<x xmlns='{DATA}' type='submit'>{lines}</x>"


def page(*parts: str, max: int | None = None) -> str:
    """A page that is asked for: ``<before/>``, for instance."""
    size = "" if max is None else f"<max>{max}</max>"
    return f"<set xmlns='{RSM}'>{size}{''.join(parts)}</set>"


def after(id: str | None) -> str:
    """The place behind a message."""
    return f"<after>{id}</after>"


def before(id: str | None) -> str:
    """The place before a message."""
    return f"<before>{id}</before>"


def query(*parts: str, id: str = "q", queryid: str = "", to: str = "") -> str:
    """A query, as a client sends it."""
    address = f" to='{to}'" if to else ""
    word = f" queryid='{queryid}'" if queryid else ""
    asked = f"<query xmlns='{MAM}'{word}>{''.join(parts)}</query>"
    return f"<iq type='set' id='{id}'{address}>{asked}</iq>"


def read_answer(stanzas: list[str], id: str = "q") -> Answer:
    """What came for a query, of all that came."""
    said, ids = [], []
    fin = None
    error = text = ""
    for each in map(ElementTree.fromstring, stanzas):
        result = each.find(RESULT)
        if result is not None:
            assert fin is None and not error, "the answer comes behind all results"
            said.append(result.findtext(".//{jabber:client}body") or "")
            ids.append(result.attrib["id"])
        elif each.tag == "iq" and each.get("id") == id:
            fin, failed = each.find(FIN), each.find("error")
            if failed is not None:
                error = failed[0].tag.rpartition("}")[2]
                text = failed.findtext("{urn:ietf:params:xml:ns:xmpp-stanzas}text") or ""
    assert fin is not None or error, f"there is no answer among {stanzas}"
    if fin is None:
        return Answer(said, ids, False, None, None, None, error, text)
    first, last, total = (fin.findtext(f".//{{{RSM}}}{name}") for name in _ENDS)
    return Answer(said, ids, fin.get("complete") == "true", first, last, total, error, text)


class QueryCase(ArchiveCase):
    """Somebody asks an archive."""

    plugins = ("archive", "carbons", "disco", "privacy_lists")

    def ask(self, *parts: str, client: Client | None = None, to: str = "") -> Answer:
        """What Romeo gets for a query."""
        asker = client or self.romeo
        asker.raw()
        asker.send(query(*parts, to=to))
        return read_answer(self.until_answered(asker))

    def until_answered(self, asker: Client) -> list[str]:
        """What comes until nothing more is read."""
        came = asker.received()
        for _ in range(100):
            if any(each.startswith("<iq") for each in came):
                break
            self.house.clock.advance(0)
            came += asker.received()
        return came


__all__ = ["Answer", "QueryCase", "after", "before", "fields", "page", "query", "read_answer"]
