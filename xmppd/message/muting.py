"""Muting: the conversations that accounts do not want to be told of, for whoever tells somebody."""

import re
from collections.abc import Awaitable, Callable, Mapping

from msgspec import Struct

from xmppd.stanza import JID, Tree, qname

_REFERENCE = qname("urn:xmpp:reference:0", "reference")
_REPLY = qname("urn:xmpp:reply:0", "reply")
_MENTIONS = qname("urn:xmpp:mmn:0", "mentions")


class Muted(Struct, frozen=True):
    """A conversation that is muted.

    Attributes:
        tells_mentions: Whether the account is told of messages that mention it all the same.
        nick: Its name in the conversation; empty if that is not known.
    """

    tells_mentions: bool = False
    nick: str = ""

    def covers(self, message: Tree, account: str) -> bool:
        """Whether the account, a bare JID, is not to be told of a message."""
        return not self.tells_mentions or not mentions(message, account, self.nick)


class Muting:
    """Asks whoever knows what accounts have muted, if somebody does.

    Attributes:
        find: Finds the muted conversations of an account, by its bare JID: with whom, or in which
            room, by the bare JID. None if nobody knows them.
    """

    def __init__(self) -> None:
        self.find: Callable[[str], Awaitable[Mapping[str, Muted]]] | None = None

    async def of(self, account: str) -> Mapping[str, Muted]:
        """The muted conversations of an account, a bare JID.

        Raises:
            StoreError: They cannot be read.
        """
        return {} if self.find is None else await self.find(account)


def mentions(message: Tree, account: str, nick: str) -> bool:
    """Whether a message mentions an account: by a reference (:xep:`0372`), by answering what it has
    said (:xep:`0461`), or by its nick, as a word of the text; or whether it tells that another one
    did (:xep:`0452`).
    """
    if message.find(_MENTIONS) is not None:
        return True
    for reference in message.iterfind(_REFERENCE):
        uri = reference.get("uri", "")
        if reference.get("type") == "mention" and _is_of(uri.removeprefix("xmpp:"), account):
            return True
    reply = message.find(_REPLY)
    if reply is not None and _is_of(reply.get("to", ""), account):
        return True
    return bool(nick) and has_name(message.findtext("body") or "", nick)


def has_name(text: str, nick: str) -> bool:
    """Whether a text has a nick as a word."""
    word = rf"(?<!\w){re.escape(nick)}(?!\w)"
    return re.search(word, text, re.IGNORECASE) is not None


def _is_of(address: str, account: str) -> bool:
    try:
        return JID.parse(address.partition("?")[0]).bare == account
    except ValueError:
        return False


__all__ = ["Muted", "Muting", "has_name", "mentions"]
