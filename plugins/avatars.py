"""XEP-0398: User Avatar to vCard-Based Avatars Conversion. One avatar, wherever clients look.

An account's avatar is what it publishes (:xep:`0084`). Its card (:xep:`0054`) shows the same as a
photo, a photo that a client puts into the card is published, and each presence has the hash of it
(:xep:`0153`), so that rooms and older clients see it (CV-4 to CV-7).
"""

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections import OrderedDict
from hashlib import sha1
from typing import NamedTuple, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.account.accounts import AccountRemoved
from xmppd.disco.disco import Of, Says
from xmppd.disco.info import DiscoInfo
from xmppd.events import On
from xmppd.plugin.place import AtUnload, Part
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.session.session_manager import SessionBound, SessionClosed
from xmppd.stanza import (
    JID,
    Condition,
    Element,
    Presence,
    Stanza,
    StanzaError,
    Tree,
    child,
    dump,
    element,
)
from xmppd.stanza.names import qname
from xmppd.stanza.xml import read
from xmppd_plugins.pep.faces import NodeFaces
from xmppd_plugins.pubsub.access import may_read
from xmppd_plugins.pubsub.requests import PubSubRequests
from xmppd_plugins.pubsub.state import NodeName
from xmppd_plugins.vcard import NS as VCARD
from xmppd_plugins.vcard import Cards

DATA, METADATA = "urn:xmpp:avatar:data", "urn:xmpp:avatar:metadata"
UPDATE = "vcard-temp:x:update"
FEATURE = "urn:xmpp:pep-vcard-conversion:0"
MAX_BYTES = 131_072
"""Of a photo (CV-4)."""

MAX_REMEMBERED = 10_000
"""Accounts of which it is remembered which avatar they have, or that they have none; the one that
was here longest ago makes room.
"""

AGAIN_S = 10.0
"""An account tells another hash no sooner after the last one (CV-7)."""

SIGNATURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}
_X, _INFO = qname(UPDATE, "x"), qname(METADATA, "info")
_BINVAL = qname(VCARD, "BINVAL")
_HASH = re.compile("[0-9a-f]{40}")
S = TypeVar("S", bound=Stanza)
_log = Logger()


class Avatar(NamedTuple):
    """An avatar.

    Attributes:
        hash: The SHA-1 of its bytes, in hex digits.
        type: Such as ``image/png``.
        data: In base64.
    """

    hash: str
    type: str
    data: str

    def photo(self) -> bytes:
        """The avatar in a card."""
        made = element(VCARD, "PHOTO")
        child(made, "TYPE", self.type)
        child(made, "BINVAL", self.data)
        return dump(made)


def avatar_in(photo: Tree) -> Avatar | None:
    """The avatar in a card's photo; None if it is no picture that stands in the card.

    Raises:
        StanzaError: NOT_ACCEPTABLE: it is no picture, or too large.
    """
    text = "".join((photo.findtext(_BINVAL) or "").split())
    if not text:
        return None
    try:
        data = b64decode(text, validate=True)
    except (Error, ValueError) as error:
        raise StanzaError(Condition.NOT_ACCEPTABLE, "the photo is not valid Base64") from error
    if len(data) > MAX_BYTES:
        raise StanzaError(Condition.NOT_ACCEPTABLE, f"a photo may have at most {MAX_BYTES} bytes")
    kind = next((kind for start, kind in SIGNATURES.items() if data.startswith(start)), None)
    if kind is None:
        raise StanzaError(Condition.NOT_ACCEPTABLE, "the photo must be PNG, JPEG, GIF or WebP")
    hash = sha1(data, usedforsecurity=False).hexdigest()
    return Avatar(hash, kind, b64encode(data).decode())


class Avatars(PacketInterceptor):
    """The avatars of accounts.

    Args:
        requests: Lead to what accounts publish.
        table: Knows who is here.
        router: Takes presence that is sent again.
        clock: Tells when that may be.

    Attributes:
        hashes: By bare JID, of those who are here and have one.
    """

    incoming_kinds = (Presence,)

    def __init__(
        self,
        requests: PubSubRequests,
        table: RoutingTable,
        router: PacketRouter,
        clock: IReactorTime,
    ) -> None:
        self.engine = requests.engine
        self.store = requests.store
        self.table = table
        self.router = router
        self.clock = clock
        self.hashes: dict[str, str] = {}
        self._remembered: OrderedDict[str, str | None] = OrderedDict()
        self._changes = 0
        self._pending: dict[str, IDelayedCall] = {}

    # -- what is published ------------------------------------------------------------------------

    async def current(self, account: JID) -> Avatar | None:
        """The avatar that an account publishes; None if it has none that is whole (CV-5)."""
        found = await self._info(account)
        if found is None:
            return None
        id, kind = found
        items = await self.store.items.by_id(NodeName(account.bare, DATA), (id,))
        data = "" if id not in items else (read(items[id].payload).text or "").strip()
        return Avatar(id, kind, data) if data else None

    async def _info(self, account: JID) -> tuple[str, str] | None:
        """The hash and type that the newest metadata say, of the picture that is in the node."""
        newest = await self.store.items.page(NodeName(account.bare, METADATA), 1)
        if not newest or not newest[0].payload:
            return None
        for info in read(newest[0].payload).iterfind(_INFO):
            id = info.get("id", "").lower()
            if not info.get("url") and _HASH.fullmatch(id):
                return id, info.get("type", "")
        return None

    async def changed(self, account: JID) -> None:
        """Take another hash, and tell it with the next presence, or with the last one again."""
        before = self.hashes.get(account.bare)
        await self._load(account)
        if self.hashes.get(account.bare) != before and account.bare not in self._pending:
            self._pending[account.bare] = self.clock.callLater(0, self._tell, account.bare)

    async def _load(self, account: JID) -> None:
        """Read the hash of an account, and remember it where nobody else writes one."""
        changes = self._changes
        found = await self._info(account)
        hash = None if found is None else found[0]
        self._take(account.bare, hash)
        if not self.store.database.shared and changes == self._changes:
            self._remembered[account.bare] = hash
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)

    def _take(self, bare: str, hash: str | None) -> None:
        if hash is None or bare not in self.table.users:
            self.hashes.pop(bare, None)
        else:
            self.hashes[bare] = hash

    def written(self, name: NodeName) -> None:
        """Have the hash be read again of an account that has written it."""
        if name.node == METADATA:
            self.forget(name.host)

    def forget(self, bare: str) -> None:
        """Forget what is remembered of an account."""
        self._changes += 1
        self._remembered.pop(bare, None)

    def _tell(self, bare: str, hash: str | None = None) -> None:
        """Send the last presence of each session again, with the hash that it has now."""
        told = self.hashes.get(bare, "")
        del self._pending[bare]
        if told == hash:
            return
        for session in self.table.available_here(bare):
            if session.presence is not None:
                later = self.router.route(session.presence)
                if later is not None:
                    Deferred.fromCoroutine(later)  # the result of a router never fails
        self._pending[bare] = self.clock.callLater(AGAIN_S, self._tell, bare, told)

    # -- presence ---------------------------------------------------------------------------------

    def bound(self, event: SessionBound) -> None:
        """Learn the hash of an account whose first session is here."""
        bare = event.session.jid.bare
        if bare in self._remembered:
            self._remembered.move_to_end(bare)
            self._take(bare, self._remembered[bare])
        elif bare not in self.hashes:
            learning = Deferred.fromCoroutine(self._load(event.session.jid.to_bare()))
            learning.addErrback(_failed)

    def closed(self, event: SessionClosed) -> None:
        """Forget that of an account without one."""
        bare = event.session.jid.bare
        if bare not in self.table.users:
            self.hashes.pop(bare, None)

    def incoming(self, stanza: S, session: JID) -> S | None:
        """Write the hash into available presence, unless its client says that it shows none
        (CV-6).
        """
        hash = self.hashes.get(stanza.sender.bare)
        if stanza.type is not None or (hash is None and b"x:update" not in stanza.payload.raw):
            return stanza
        if stanza.sender.resource is None or not self.table.is_local(stanza.sender):
            return stanza
        written = stanza.payload.tree.find(_X)
        if written is not None:
            shown = written.find(qname(UPDATE, "photo"))
            if shown is not None and not shown.text:
                return stanza
            if shown is not None and shown.text == hash:
                return stanza
            stanza = stanza.without_children(lambda each: each.tag == _X)
        if hash is None:
            return stanza
        return stanza.with_child(f"<x xmlns='{UPDATE}'><photo>{hash}</photo></x>".encode())

    # -- cards ------------------------------------------------------------------------------------

    async def photo(self, account: JID, asker: JID) -> bytes:
        """The avatar as a card's photo, if the asker may read it."""
        name, nodes = NodeName(account.bare, DATA), self.engine.nodes
        state = await self.store.node(name)
        if state is None:
            return b""
        standing = await nodes.standing(nodes.host(account.bare), state, asker)
        avatar = (
            await self.current(account) if may_read(state.config.access_model, standing) else None
        )
        return b"" if avatar is None else avatar.photo()

    async def take_photo(self, who: JID, photo: Tree | None) -> None:
        """Publish the photo of a card; without one, none is published any more."""
        account = who.to_bare()
        avatar = None if photo is None else avatar_in(photo)
        before = await self.current(account)
        if avatar is None:
            if before is not None:
                await self._publish(account, who, METADATA, "", element(METADATA, "metadata"))
            return
        if before is not None and before.hash == avatar.hash:
            return
        data = element(DATA, "data", avatar.data)
        await self._publish(account, who, DATA, avatar.hash, data)
        metadata = element(METADATA, "metadata")
        size = str(len(b64decode(avatar.data)))
        child(metadata, "info", id=avatar.hash, bytes=size, type=avatar.type)
        await self._publish(account, who, METADATA, avatar.hash, metadata)

    async def _publish(self, account: JID, who: JID, node: str, id: str, payload: Element) -> None:
        items = [(id or None, dump(payload))]
        await self.engine.publish(NodeName(account.bare, node), who, items, None)

    def stop(self) -> None:
        """Tell nothing any more."""
        for call in self._pending.values():
            call.cancel()
        self._pending.clear()


def _failed(failure: Failure) -> None:
    _log.failure("an avatar could not be read", failure)


def plug(
    requests: PubSubRequests,
    faces: NodeFaces,
    cards: Cards,
    table: RoutingTable,
    router: PacketRouter,
    clock: IReactorTime,
) -> list[Part]:
    """The parts of this plugin."""
    avatars = Avatars(requests, table, router, clock)

    written = requests.store.writer.written

    def stop() -> None:
        del faces.seen[METADATA]
        cards.photos = None
        written.remove(avatars.written)
        avatars.stop()

    faces.seen[METADATA] = avatars.changed
    cards.photos = avatars
    written.append(avatars.written)
    return [
        AtUnload(stop),
        avatars,
        On(SessionBound, avatars.bound),
        On(SessionClosed, avatars.closed),
        On(AccountRemoved, lambda removed: avatars.forget(removed.account.bare)),
        Says(DiscoInfo(features=(FEATURE,)), Of.ACCOUNT),
    ]
