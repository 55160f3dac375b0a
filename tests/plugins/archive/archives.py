"""What tests of archives have in common."""

import re
from typing import cast

from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.config import Config
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.entries import ALL, ArchiveEntry, Selection

ROMEO = "romeo@montague.lit"
JULIET = "juliet@montague.lit"
_ID = re.compile(r"<stanza-id xmlns='urn:xmpp:sid:0' id='([0-9a-f]{32})' by='([^']*)'/>")
_BODY = re.compile(rb"<body>(.*?)</body>")


def archive_of(house: House) -> Archive:
    """The archive of a server. Behind a restart its class is read anew, and another one."""
    [found] = [e for e in house.server.followers.all() if type(e).__name__ == Archive.__name__]
    return cast(Archive, found)


def ids_in(data: bytes) -> list[tuple[str, str]]:
    """The ids that somebody was shown, and by whom they are."""
    return _ID.findall(data.decode())


def body_of(entry: ArchiveEntry) -> str:
    """What was said in a message that is archived."""
    found = _BODY.search(entry.stanza or b"")
    return "" if found is None else found[1].decode()


def chat(to: str, body: str, *more: str, type: str = "chat", id: str = "") -> str:
    """A message as a client sends it."""
    id = f" id='{id}'" if id else ""
    return f"<message to='{to}' type='{type}'{id}><body>{body}</body>{''.join(more)}</message>"


class ArchiveCase(SynchronousTestCase):
    """Romeo and Juliet are online, and their conversations are archived."""

    plugins: tuple[str, ...] = ("archive", "carbons")

    def setUp(self) -> None:
        self.house = House(
            "montague.lit",
            config=self.config(),
            plugins=self.plugins,
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def config(self, **tables: object) -> Config:
        """The configuration of the server."""
        return house_config("montague.lit", archive=tables)

    @property
    def archive(self) -> Archive:
        """The archive."""
        return archive_of(self.house)

    def said(self, owner: str, selection: Selection = ALL, limit: int = 1_000) -> list[str]:
        """What is in an archive, the oldest first."""
        return list(map(body_of, done(self.archive.entries.page(owner, selection, limit))))

    def say(self, *bodies: str, sender: Client | None = None, to: str = JULIET) -> None:
        """Have Romeo say something to Juliet."""
        for body in bodies:
            (sender or self.romeo).send(chat(to, body))

    def write(self) -> None:
        """Let all be written that was accepted."""
        done(self.archive.writer.flush())

    def index(self) -> None:
        """Let all be indexed that was accepted."""
        self.write()
        done(self.archive.indexer.index())


__all__ = [
    "JULIET",
    "ROMEO",
    "ArchiveCase",
    "archive_of",
    "body_of",
    "chat",
    "ids_in",
]
