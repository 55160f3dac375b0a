"""What tests of inboxes have in common."""

import re
import sys
from typing import NamedTuple, cast
from xml.etree import ElementTree

from tests.plugins.archive.archives import JULIET, ROMEO, ArchiveCase, chat
from xmppd.stanza.xml import Tree
from xmppd.store.gathered import GATHER_S
from xmppd.testing.client import Client, done
from xmppd_plugins.inbox.unread import UnreadMessages

NS = "urn:xmpp:inbox:1"
MAM = "urn:xmpp:mam:2"
MARKERS = "urn:xmpp:chat-markers:0"
NURSE = "nurse@montague.lit"


class Shown(NamedTuple):
    """A conversation as it is shown.

    Attributes:
        jid: With whom.
        unread: How many messages are unread.
        id: Of the last one.
        body: What was said last; empty if that is not shown.
    """

    jid: str
    unread: int
    id: str
    body: str


class Answer(NamedTuple):
    """An inbox as it is shown.

    Attributes:
        conversations: In order.
        fin: The answer behind them.
    """

    conversations: list[Shown]
    fin: Tree

    @property
    def unread(self) -> dict[str, int]:
        """How many are unread, by whom they are of."""
        return {each.jid.partition("@")[0]: each.unread for each in self.conversations}

    @property
    def totals(self) -> tuple[int, int, int]:
        """InboxEntries, those with unread messages, and these."""
        return tuple(int(self.fin[0].get(name, "-1")) for name in ("total", "unread", "all-unread"))  # type: ignore[return-value]


def ask_inbox(client: Client, attributes: str = "", page: str = "") -> Answer:
    """The inbox that a client is shown."""
    inside = f"<set xmlns='http://jabber.org/protocol/rsm'>{page}</set>" if page else ""
    client.raw()
    client.send(f"<iq type='get' id='i'><inbox xmlns='{NS}' {attributes}>{inside}</inbox></iq>")
    *messages, fin = client.received()
    return Answer(list(map(_shown, messages)), ElementTree.fromstring(fin))


def _shown(message: str) -> Shown:
    tree = ElementTree.fromstring(message)
    entry = tree[0]
    assert entry.tag == f"{{{NS}}}entry", message
    body = re.search("<body>(.*?)</body>", message)
    if body is not None:
        assert tree[1].get("queryid") == "i", message
    number = int(entry.get("unread", "-1"))
    return Shown(entry.get("jid", ""), number, entry.get("id", ""), body[1] if body else "")


def marker(to: str, id: str, name: str = "displayed", more: str = "") -> str:
    """A marker as a client sends it."""
    return f"<message to='{to}' type='chat'><{name} xmlns='{MARKERS}' id='{id}'/>{more}</message>"


class InboxCase(ArchiveCase):
    """Juliet has an inbox; Romeo and her nurse write to her."""

    plugins = ("archive", "inbox", "carbons", "disco")

    def setUp(self) -> None:
        super().setUp()
        self.house.add("nurse")
        (self.nurse,) = self.house.connect("nurse")
        self.juliet.raw()

    @property
    def follower(self) -> UnreadMessages:
        """The plugin's follower. Behind a restart its class is read anew, and another one."""
        followers = self.house.server.followers.all()
        [found] = [each for each in followers if type(each).__name__ == UnreadMessages.__name__]
        return cast(UnreadMessages, found)

    def limit(self, name: str, value: object) -> None:
        """Set a limit of the follower's."""
        self.patch(sys.modules[type(self.follower).__module__], name, value)

    def write_to(self, client: Client, *ids: str, to: str = JULIET) -> None:
        """Somebody writes messages, each of which says its id."""
        for id in ids:
            client.send(chat(to, id, id=id))
        self.house.clock.advance(GATHER_S)

    def inbox(self, attributes: str = "", page: str = "") -> Answer:
        """Juliet's inbox."""
        return ask_inbox(self.juliet, attributes, page)

    def unread(self) -> dict[str, int]:
        """How many messages she has not read, by whom they are of."""
        return self.inbox().unread


__all__ = [
    "JULIET",
    "MAM",
    "NS",
    "NURSE",
    "ROMEO",
    "Answer",
    "InboxCase",
    "ask_inbox",
    "chat",
    "done",
    "marker",
]
