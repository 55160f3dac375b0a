"""Import of archives (:xep:`0227`): what another server has kept gets its place in time (AR-15)."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from xmppd.stanza import JID, Message, Tree, ns, qname
from xmppd.stanza.copies import FORWARD
from xmppd.stanza.date_time import microseconds_of
from xmppd.stanza.result import RESULT
from xmppd.stanza.xml_file import elements_of
from xmppd.store.sql import Connection, Update, bindparam, digest, insert_if_absent, update

from .ids import elsewhere, first_at, last_at
from .routed import flags_of, peers, without_ids_by
from .tables import SENT, add_sums, archives, begin_before, entries, peer_of, stanzas

MESSAGES_PER_SLICE = 200

_FORWARDED = qname(FORWARD, "forwarded")
_DELAY = qname(ns.DELAY, "delay")
_CLIENT = f"{{{ns.CLIENT}}}"
_MESSAGE = f"{_CLIENT}message"
_ADD_ARCHIVE = insert_if_absent(archives)
_ADD_STANZA = insert_if_absent(stanzas)
_ADD_ENTRY = insert_if_absent(entries)
_SAME = stanzas.c.position == bindparam("at"), stanzas.c.stanza == bindparam("same")
_SHARE_SENT: Update = (
    update(stanzas).where(*_SAME, stanzas.c.sent == 0).values(sent=bindparam("archive"))
)
_SHARE_RECEIVED: Update = (
    update(stanzas).where(*_SAME, stanzas.c.received == 0).values(received=bindparam("archive"))
)


class Imported(NamedTuple):
    """A message of another server's archive.

    Attributes:
        message: As it was routed there.
        microseconds: Since 1970, when it came there.
    """

    message: Message
    microseconds: int


def read_results(path: Path, owner: str) -> Iterator[Imported | None]:
    """The messages in a file, in its order; None for one that cannot be read.

    Args:
        path: Of the file.
        owner: Bare JID of the account whose archive it is.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no XML.
    """
    for element, around in elements_of(path):
        if element.tag == RESULT:
            yield read_result(element, owner)
            around.remove(element)


def read_result(result: Tree, owner: str) -> Imported | None:
    """The message in a result; None if it cannot be read, or is not of this owner."""
    forwarded = result.find(_FORWARDED)
    delay = None if forwarded is None else forwarded.find(_DELAY)
    tree = None if forwarded is None else forwarded.find(_MESSAGE)
    if delay is None or tree is None:
        return None
    _use_content_namespace(tree)
    try:
        moment = microseconds_of(delay.get("stamp", ""))
        message = Message.from_tree(tree, JID.parse(tree.get("from", "")))
    except ValueError:
        return None
    if message.to is None or owner not in (message.to.bare, message.sender.bare):
        return None
    return Imported(without_ids_by(message, owner), moment)


def _use_content_namespace(tree: Tree) -> None:
    """Spell the names of the content namespace as in all stanzas, but not inside of others."""
    if tree.tag.startswith(_CLIENT):
        tree.tag = tree.tag.removeprefix(_CLIENT)
        for inner in tree:
            _use_content_namespace(inner)


def keep(connection: Connection, owner: str, number: int, messages: list[Imported]) -> None:
    """Keep messages in an archive, each at the next free position from its time on.

    Args:
        connection: To the database.
        owner: Bare JID of the account.
        number: Of its archive.
        messages: Those to keep.
    """
    positions, size = [], 0
    for message, moment in messages:
        wire = message.wire()
        is_sent = message.sender.bare == owner
        position = _keep_stanza(connection, moment, number, wire, is_sent=is_sent)
        to, sender = peers(message)
        peer = to if is_sent else sender
        entry = {
            "archive": number,
            "position": position,
            "peer": peer_of(peer),
            "flags": flags_of(message) | (SENT if is_sent else 0),
        }
        connection.execute(_ADD_ENTRY.on(connection), entry)
        positions.append(position)
        size += len(wire)
    first = min(positions)
    row = {"number": number, "owner": digest(owner), "name": owner, "begins": first}
    connection.execute(_ADD_ARCHIVE.on(connection), {**row, "entries": 0, "bytes": 0})
    begin_before(connection, [(number, first)])
    add_sums(connection, [(number, (len(messages), size))])


def _keep_stanza(
    connection: Connection, moment: int, number: int, wire: bytes, *, is_sent: bool
) -> int:
    """Keep a stanza where no other one is, some microseconds later if need be. Both its ends have
    it at one place, if both have moved here.
    """
    while True:
        position = elsewhere(first_at(moment)) | (last_at(moment) & 0xFF)
        row = {
            "position": position,
            "sent": number if is_sent else 0,
            "received": 0 if is_sent else number,
            "stanza": wire,
        }
        if connection.execute(_ADD_STANZA.on(connection), row).first() is not None:
            return position
        share = {"at": position, "same": wire, "archive": number}
        if connection.execute(_SHARE_SENT if is_sent else _SHARE_RECEIVED, share).rowcount:
            return position
        moment += 1


__all__ = ["MESSAGES_PER_SLICE", "Imported", "keep", "read_result", "read_results"]
