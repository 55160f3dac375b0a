"""What people publish, with aioxmpp: a client of other people than slixmpp's."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from struct import pack
from typing import Any, ClassVar

from tests.integration.people import PASSWORD, PATIENCE_S, ServerCase, people

try:
    import aioxmpp
    import aioxmpp.avatar
    import aioxmpp.bookmarks
except ImportError:
    MISSING: str | None = "pip install --no-deps -r tests/integration/aioxmpp.txt brings aioxmpp"
else:
    MISSING = None

    @aioxmpp.pubsub.xso.as_payload_class
    class Tune(aioxmpp.xso.XSO):
        """What somebody hears."""

        TAG = ("http://jabber.org/protocol/tune", "tune")
        title = aioxmpp.xso.ChildText(("http://jabber.org/protocol/tune", "title"), default=None)


TUNE = "http://jabber.org/protocol/tune"


def chunk(name: bytes, data: bytes) -> bytes:
    """A part of a PNG."""
    inside = name + data
    return pack(">I", len(data)) + inside + pack(">I", zlib.crc32(inside))


PIXEL = (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(b"\0\0"))
    + chunk(b"IEND", b"")
)


class Heard:
    """What was told, in its order.

    Attributes:
        told: It.
    """

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()

    def __call__(self, *what: Any, **more: Any) -> None:
        self.told.put_nowait(what)

    async def next(self) -> tuple[Any, ...]:
        """The next of it."""
        return await asyncio.wait_for(self.told.get(), PATIENCE_S)


class AioxmppTests(ServerCase):
    skip = MISSING
    # The client refuses fewer.
    settings: ClassVar[dict[str, object]] = {"auth": {"scram_iterations": 4096}}

    def client(self, address: str) -> Any:
        """Somebody with that client, who has not come yet."""
        layer = aioxmpp.make_security_layer(PASSWORD, no_verify=True)
        starttls = aioxmpp.connector.STARTTLSConnector()
        found = aioxmpp.PresenceManagedClient(
            aioxmpp.JID.fromstr(address),
            layer,
            override_peer=[(self.server.host, self.server.port, starttls)],
        )
        for service in (
            aioxmpp.AvatarService,
            aioxmpp.BookmarkClient,
            aioxmpp.EntityCapsService,
            aioxmpp.PEPClient,
            aioxmpp.RosterClient,
        ):
            found.summon(service)
        return found

    @asynccontextmanager
    async def friends(self, *heard: Heard) -> AsyncIterator[tuple[Any, Any]]:
        """Two who see each other, and are here; the second one wants to know of tunes if somebody
        is to hear of that.
        """
        addresses = [self.account(name) for name in ("romeo", "juliet")]
        self.server.tell("roster add", account=addresses[0], contact=addresses[1], mutual=True)
        one, other = map(self.client, addresses)
        claims = [other.summon(aioxmpp.PEPClient).claim_pep_node(TUNE, notify=True) for _ in heard]
        for claim, hear in zip(claims, heard, strict=True):
            claim.on_item_publish.connect(hear)
        async with AsyncExitStack() as stack:
            for each in (one, other):
                await stack.enter_async_context(each.connected())
            yield one, other

    @people
    async def test_avatar(self) -> None:
        """An avatar is published, told to who wants it, and fetched."""
        async with self.friends() as (romeo, juliet):
            heard = Heard()
            juliet.summon(aioxmpp.AvatarService).on_metadata_changed.connect(heard)
            avatar = aioxmpp.avatar.AvatarSet()
            avatar.add_avatar_image("image/png", image_bytes=PIXEL)
            await romeo.summon(aioxmpp.AvatarService).publish_avatar_set(avatar)
            sender, (found, *_) = await heard.next()
            self.assertEqual(sender, romeo.local_jid.bare())
            self.assertEqual(await found.get_image_bytes(), PIXEL)

    @people
    async def test_bookmarks(self) -> None:
        """Bookmarks that are kept as one element are there, and gone, for all clients."""
        async with self.friends() as (romeo, _):
            bookmarks = romeo.summon(aioxmpp.BookmarkClient)
            ball = aioxmpp.bookmarks.Conference(
                "Ball", aioxmpp.JID.fromstr("ball@rooms.verona.lit"), autojoin=True, nick="Romeo"
            )
            await bookmarks.add_bookmark(ball)
            again = self.client(str(romeo.local_jid.bare()))
            async with again.connected():
                known = await again.summon(aioxmpp.BookmarkClient).get_bookmarks()
                self.assertEqual([each.name for each in known], ["Ball"])
                await bookmarks.discard_bookmark(ball)
                self.assertEqual(await bookmarks.get_bookmarks(), [])

    @people
    async def test_claimed(self) -> None:
        """A node that is claimed by one is told; one that nobody claims is not."""
        heard = Heard()
        async with self.friends(heard) as (romeo, _):
            self.assertTrue(await romeo.summon(aioxmpp.PEPClient).available())
            tune, pep = Tune(), romeo.summon(aioxmpp.PEPClient)
            tune.title = "Queen Mab"
            await pep.publish("urn:verona:other", aioxmpp.avatar.xso.Metadata())
            await pep.publish(TUNE, tune, id_="current")
            sender, node, item, *_ = await heard.next()
            self.assertEqual((sender, node), (romeo.local_jid.bare(), TUNE))
            self.assertEqual(item.registered_payload.title, "Queen Mab")

    @people
    async def test_server(self) -> None:
        """What the server says of itself verifies by the hash in its stream features."""
        async with self.friends() as (romeo, _):
            info = await romeo.summon(aioxmpp.DiscoClient).query_info(
                romeo.local_jid.replace(localpart=None, resource=None)
            )
            self.assertIn("urn:xmpp:caps", info.features)
