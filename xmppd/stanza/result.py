"""Results of an archive (:xep:`0313`): a message that was kept, as whoever asks is sent it."""

from xmppd.stanza import ns
from xmppd.stanza.copies import FORWARD
from xmppd.stanza.date_time import exact_date_time
from xmppd.stanza.jid import JID
from xmppd.stanza.names import qname
from xmppd.stanza.pulled import Pulled
from xmppd.stanza.stanza import Message
from xmppd.stanza.text import escape
from xmppd.stanza.xml import check_whole

MAM = "urn:xmpp:mam:2"
STANZA_ID = "urn:xmpp:sid:0"
RESULT = qname(MAM, "result")
"""The name of a result's only child."""

_NAME = b"<message"
_END = b"</message>"


class Results:
    """Makes the results of one query, each by one splice around the bytes of its message.

    Args:
        archive: The bare JID that was asked, which they come from.
        asker: The full JID they go to.
        query: The ``queryid`` of the query, as it was written; None if it has none.
    """

    def __init__(self, archive: JID, asker: JID, query: str | None) -> None:
        self.archive = archive
        self.asker = asker
        given = "" if query is None else f" queryid='{escape(query)}'"
        self._head = f"<message><result xmlns='{MAM}'{given} id='".encode()
        self._delay = f"'><forwarded xmlns='{FORWARD}'><delay xmlns='{ns.DELAY}' stamp='".encode()
        self._inside = f"'/><message xmlns='{ns.CLIENT}'".encode()
        self._id = f"<stanza-id xmlns='{STANZA_ID}' id='".encode()
        by = f"' by='{escape(archive.bare)}'/></message>"
        self._tail = f"{by}</forwarded></result></message>".encode()

    def result(self, message: bytes, id: bytes, microseconds: int) -> Message:
        """One result.

        Args:
            message: As it was kept: with its sender, and without an id of this archive.
            id: Its id in the archive, of letters and digits.
            microseconds: Since 1970, when it was kept.

        Raises:
            ValueError: These bytes are no message any more: on a client's stream they would end it.
        """
        if not message.startswith(_NAME):
            raise ValueError("not a message")
        check_whole(message)
        if message.endswith(_END):
            inner = message[len(_NAME) : -len(_END)]
        elif message.endswith(b"/>"):
            inner = message[len(_NAME) : -2] + b">"
        else:
            raise ValueError("not a complete message")
        raw = b"".join(
            (
                self._head,
                id,
                self._delay,
                exact_date_time(microseconds).encode(),
                self._inside,
                inner,
                self._id,
                id,
                self._tail,
            )
        )
        return Message(self.asker, self.archive, None, None, Pulled(raw))


def is_result(message: Message) -> bool:
    """Whether a message is a result of some archive: that has what is in it, so that nobody else
    keeps it.
    """
    tree = message.payload.tree
    return len(tree) > 0 and tree[0].tag == RESULT
