"""Message carbons: every resource that wants to sees both sides of a conversation (:xep:`0280`)."""

from collections.abc import Collection

from xmppd.routing.routing_table import RoutingTable
from xmppd.session.session import Session
from xmppd.stanza import Message, Tree, qname
from xmppd.stanza.carbon import CARBONS, Direction, carbon, forwarded
from xmppd.stanza.stanza import Copies
from xmppd.stanza.xml import namespace_of

MAX_REMEMBERED = 50_000
"""So many messages that were copied, at most: errors that answer them are copied as well."""

_KEPT_PRIVATE = frozenset((qname(CARBONS, "private"), qname("urn:xmpp:hints", "no-copy")))
_INSTANT_MESSAGING = frozenset(
    ("urn:xmpp:receipts", "http://jabber.org/protocol/chatstates", "urn:xmpp:chat-markers:0")
)
_ROOM = "{http://jabber.org/protocol/muc#user}x"
_MEDIATED = "{http://jabber.org/protocol/muc#user}invite"
_DIRECT = "{jabber:x:conference}x"


class Carbons:
    """Copies messages to the resources of their sender and of their recipient (CA-1 to CA-8).

    Which sessions want copies is a flag of theirs, and in :attr:`RoutingTable.carbons` by account,
    so that an account without one costs a look-up.
    """

    def __init__(self, routing_table: RoutingTable) -> None:
        self.routing_table = routing_table
        self._last: Message | None = None
        self._inside = b""  # the same, as it stands in copies for both sides
        self._recent: set[int] = set()
        self._older: set[int] = set()

    def enable(self, session: Session) -> None:
        """From now on the session gets copies; again and again is as good as once."""
        self._want(session, carbons=True)

    def disable(self, session: Session) -> None:
        """From now on the session gets no copies."""
        self._want(session, carbons=False)

    def _want(self, session: Session, *, carbons: bool) -> None:
        if session.carbons is not carbons:
            session.carbons = carbons
            self.routing_table.refresh_carbons(session)

    def sent(self, message: Message) -> None:
        """Copy what a resource sends to the others of its account (§8).

        What is for that account itself is left to :meth:`received`: nobody gets it twice.
        """
        sender, to = message.sender, message.to
        sessions = self.routing_table.carbons.get(sender.bare)
        if sessions is None or to is None or to.bare == sender.bare:
            return
        others = [session for session in sessions if session.jid.full != sender.full]
        if others and self._is_eligible(
            message, message.payload.tree, sender.bare, to.bare, to_room=True
        ):
            self._copy(message, "sent", others)

    def received(
        self,
        message: Message,
        got: Collection[Session] = (),
        *,
        tree: Tree | None = None,
        shared: Copies | None = None,
    ) -> None:
        """Copy what came for an account to those of its resources that did not get it (§7).

        Args:
            message: Addressed.
            got: Who did, beside the resource that it names.
            tree: Its tree, if somebody keeps its bytes by now, and not that.
            shared: How many that are; None if nobody waits for it in a queue.
        """
        to = message.to
        sessions = None if to is None else self.routing_table.carbons.get(to.bare)
        if sessions is None or to is None:
            return
        sender = message.sender
        others = [
            session
            for session in sessions
            if session not in got
            and session.jid.full not in (to.full, sender.full)
            and (session.privacy is None or session.privacy.lets_in(message))
        ]
        if not others and len(sessions) == 1:
            return  # somebody with a single device, whom no error about it concerns either
        tree = message.payload.tree if tree is None else tree
        if self._is_eligible(message, tree, to.bare, sender.bare, to_room=False):
            direction: Direction = "sent" if sender.bare == to.bare else "received"
            self._copy(message, direction, others, shared)

    def _copy(
        self,
        message: Message,
        direction: Direction,
        sessions: list[Session],
        shared: Copies | None = None,
    ) -> None:
        if not sessions:
            return
        if message is not self._last:
            self._last, self._inside = message, forwarded(message)
        copy = carbon(message, self._inside, direction, sessions[0].jid.to_bare())
        copy.payload.copies = shared
        head, tail = copy.around_to()
        arrived = [session.deliver(copy, head + session.jid.wire + tail) for session in sessions]
        if shared is not None:
            shared.left += sum(arrived)

    def _is_eligible(
        self, message: Message, tree: Tree, account: str, peer: str, *, to_room: bool
    ) -> bool:
        """Whether it is copied; an error is if that is so for what it is about (§6.1)."""
        if message.type == "groupchat":
            return False
        subject = hash((account, peer, message.id))
        if message.type == "error":
            return subject in self._recent or subject in self._older
        if not _is_instant_message(message, tree, to_room=to_room):
            return False
        if len(self._recent) >= MAX_REMEMBERED // 2:
            self._older, self._recent = self._recent, set()
        self._recent.add(subject)
        return True


def _is_instant_message(message: Message, tree: Tree, *, to_room: bool) -> bool:
    """The rules of §6.1 but those about errors and groupchat.

    Args:
        message: Of any other type.
        tree: Its tree.
        to_room: Whether, if a room has to do with it, somebody is writing to it; rooms themselves
            tell all the resources that are in them.
    """
    tags = [child.tag for child in tree]
    if not _KEPT_PRIVATE.isdisjoint(tags):
        return False
    if _ROOM in tags and not to_room and not message.sender.is_bare:
        return _invites(tree)
    return (
        message.type == "chat"
        or ("body" in tags and message.type != "headline")
        or _DIRECT in tags
        or _invites(tree)
        or any(namespace_of(tag) in _INSTANT_MESSAGING for tag in tags)
    )


def _invites(tree: Tree) -> bool:
    """Whether it invites to a room (:xep:`0045#invite-mediated`)."""
    return tree.find(f"{_ROOM}/{_MEDIATED}") is not None or tree.find(_DIRECT) is not None
