"""XEP-0452: MUC Mention Notifications. Who is spoken of in a room is told, though they are not in.

They are sent what was said as a message of their own, from the room: so it waits for them, is in
their archive, counts as unread, and their phone is told of it (RM-62).
"""

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from weakref import WeakKeyDictionary

from xmppd.events import On
from xmppd.message.muting import has_name
from xmppd.plugin.place import Part
from xmppd.stanza import JID, Message, Tree, ns, qname
from xmppd.stanza.copies import FORWARD, forwarded
from xmppd.stanza.date_time import date_time
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.nicks import folded
from xmppd_plugins.muc.room import Room
from xmppd_plugins.muc.state import Affiliated
from xmppd_plugins.muc.talk import SaidToAll

NS = "urn:xmpp:mmn:0"
MAX_MENTIONED = 20
"""People who are told of one message."""
MAX_ADDRESSES = 100
"""Addresses in a message that are looked at."""

_REFERENCE = qname("urn:xmpp:reference:0", "reference")
_REPLY = qname("urn:xmpp:reply:0", "reply")
_REPLACE = qname("urn:xmpp:message-correct:0", "replace")
_words = re.compile(r"\w+").findall


class RoomMentions:
    """Tells those who are mentioned, and not in.

    Args:
        hall: Where the rooms are.
    """

    def __init__(self, hall: Hall) -> None:
        self.hall = hall
        self._indexes: WeakKeyDictionary[Room, _Index] = WeakKeyDictionary()

    def hear(self, event: SaidToAll) -> None:
        """Look for those whom a message mentions."""
        room, tree = event.room, event.tree
        if not room.away or not room.config.mentions or tree.find(_REPLACE) is not None:
            return
        body = tree.findtext("body") or ""
        if not body:
            return
        away, index = self.hall.away(room), self._indexes.get(room)
        if index is None or index.people is not away:
            index = self._indexes[room] = _Index(away)
        for person in islice(index.named(_Named(room, tree, body)), MAX_MENTIONED):
            self._tell(room, event.said, JID.prepared(person.jid))

    def _tell(self, room: Room, said: Message, person: JID) -> None:
        stamp = date_time(self.hall.clocks.wall_clock())
        told = b"<mentions xmlns='%b'><forwarded xmlns='%b'>%b%b</forwarded></mentions>" % (
            NS.encode(),
            FORWARD.encode(),
            f"<delay xmlns='{ns.DELAY}' stamp='{stamp}'/>".encode(),
            forwarded(said),
        )
        self.hall.teller.hand_on(Message.make(person, room.jid, told))


class _Index:
    """People, found by the first word of their nick or by their address: a message costs as much as
    it has words, however many they are.

    Args:
        people: They.
    """

    def __init__(self, people: Sequence[Affiliated]) -> None:
        self.people = people
        self._by_word: dict[str, list[Affiliated]] = {}
        for each in people:
            self._by_word.setdefault(each.jid, []).append(each)
            if each.nick:
                nick = folded(each.nick)
                for key in {nick, *(_words(nick)[:1] or ("",))}:
                    self._by_word.setdefault(key, []).append(each)

    def named(self, named: "_Named") -> Iterator[Affiliated]:
        """Those of them whom a message names, each once."""
        found = (each for key in named.keys for each in self._by_word.get(key, ()))
        yield from filter(named.has, {each.jid: each for each in found}.values())


class _Named:
    """Those whom a message names: by address, or by nick.

    Args:
        room: Where it was said.
        tree: Of the message.
        body: Its text.
    """

    def __init__(self, room: Room, tree: Tree, body: str) -> None:
        self._body = body
        self._words = set(_words(folded(body)))
        self._accounts: set[str] = set()
        self._nicks: set[str] = set()
        for jid in islice(_addresses(tree), MAX_ADDRESSES):
            if jid.bare != room.jid.full:
                self._accounts.add(jid.bare)
            elif jid.resource is not None:
                self._nicks.add(folded(jid.resource))
        self.keys = {"", *self._words, *self._accounts, *self._nicks}

    def has(self, person: Affiliated) -> bool:
        """Whether somebody is among them, by their address or the nick that is kept for them."""
        if person.jid in self._accounts:
            return True
        if not person.nick:
            return False
        nick = folded(person.nick)
        if nick in self._nicks:
            return True
        return self._words.issuperset(_words(nick)) and has_name(self._body, person.nick)


def _addresses(tree: Tree) -> Iterator[JID]:
    """Whom references (:xep:`0372`) and answers (:xep:`0461`) name."""
    named = (
        *(
            each.get("uri", "")
            for each in tree.iterfind(_REFERENCE)
            if each.get("type") == "mention"
        ),
        *(each.get("to", "") for each in tree.iterfind(_REPLY)),
    )
    for text in named:
        try:
            yield JID.parse(text.removeprefix("xmpp:").partition("?")[0])
        except ValueError:
            continue  # it names nobody


def plug(hall: Hall) -> list[Part]:
    """The parts of this feature."""
    return [On(SaidToAll, RoomMentions(hall).hear)]
