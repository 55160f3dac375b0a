"""What clients publish at their accounts (XEP-0163), and how they say that they want to be told."""

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha1

from bench.client import Client

PUBSUB = b"http://jabber.org/protocol/pubsub"
INFO = b"http://jabber.org/protocol/disco#info"
CAPS = b"http://jabber.org/protocol/caps"
BOOKMARKS = b"urn:xmpp:bookmarks:1"
SOFTWARE = b"urn:bench"
ASKED = re.compile(rb"<iq\b([^>]*)>\s*<query\b[^>]*disco#info[^>]*>")
ATTRIBUTE = re.compile(rb"\b(id|from|type)=(?:'([^']*)'|\"([^\"]*)\")")


class Interests:
    """The capabilities of clients that want to be told of some nodes (XEP-0115).

    Args:
        nodes: Their names.

    Attributes:
        presence: The element that says so.
    """

    def __init__(self, *nodes: bytes) -> None:
        features = sorted([INFO, CAPS, *(b"%b+notify" % node for node in nodes)])
        hashed = b"client/pc//bench<" + b"".join(b"%b<" % each for each in features)
        ver = b64encode(sha1(hashed, usedforsecurity=False).digest())
        self.presence = b"<c xmlns='%b' hash='sha-1' node='%b' ver='%b'/>" % (CAPS, SOFTWARE, ver)
        inside = b"".join(b"<feature var='%b'/>" % each for each in features)
        self._info = (
            b"<query xmlns='%b' node='%b#%b'><identity category='client' type='pc' name='bench'/>"
            b"%b</query></iq>" % (INFO, SOFTWARE, ver, inside)
        )

    def answering(self, client: Client) -> Callable[[bytes], None]:
        """What a client does with each read: it answers what it is asked."""

        def answer(data: bytes) -> None:
            for asked in ASKED.finditer(data):
                said = {name: one or two for name, one, two in ATTRIBUTE.findall(asked[1])}
                if said.get(b"type") == b"get":
                    client.send(self.answer(said[b"id"], said[b"from"]))

        return answer

    def answer(self, id: bytes, asker: bytes) -> bytes:
        """What a client says to who asks for them."""
        return b"<iq type='result' id='%b' to='%b'>" % (id, asker) + self._info

    def arrive(self, client: Client) -> None:
        """Have a client that has just logged in answer."""
        client.on_data = self.answering(client)


def publish(node: bytes, item: bytes, payload: bytes, **options: bytes) -> bytes:
    """A request to publish an item at the own account.

    Args:
        node: Its name.
        item: The id.
        payload: One element.
        options: How the node is to be.
    """
    lines = b"".join(
        b"<field var='pubsub#%b'><value>%b</value></field>" % (name.encode(), value)
        for name, value in options.items()
    )
    form = (
        b"<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' "
        b"type='hidden'><value>%b#publish-options</value></field>%b</x></publish-options>"
        % (PUBSUB, lines)
    )
    return (
        b"<iq type='set' id='publish'><pubsub xmlns='%b'><publish node='%b'><item id='%b'>%b</item>"
        b"</publish>%b</pubsub></iq>" % (PUBSUB, node, item, payload, form if options else b"")
    )


def bookmark(number: int) -> bytes:
    """A request to bookmark a room (XEP-0402)."""
    room = b"room%d@conference.p.test" % number
    payload = (
        b"<conference xmlns='%b' name='Room %d' autojoin='true'><nick>bench</nick></conference>"
    )
    return publish(
        BOOKMARKS,
        room,
        payload % (BOOKMARKS, number),
        access_model=b"whitelist",
        persist_items=b"true",
        max_items=b"100",
    )


def items(node: bytes) -> bytes:
    """A request for all items of a node of the own account."""
    return b"<iq type='get' id='items'><pubsub xmlns='%b'><items node='%b'/></pubsub></iq>" % (
        PUBSUB,
        node,
    )
