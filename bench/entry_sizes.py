"""How many bytes the usual entries have with which nodes speak to each other.

python -m bench.entry_sizes
"""

import sys

from msgspec.msgpack import Encoder

from bench.compare import table
from bench.load import BODY
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.presence import Arrived, Gone, Here, SentPresence, Telling
from xmppd.cluster.entries.stanzas import Routed
from xmppd.cluster.frame import HEADER_BYTES
from xmppd.stanza import JID, Presence

DOMAIN = "p.test"
SERIAL = 1_764_547_200_000_000
"""A microsecond of these days."""

FRIENDS = [f"juliet{number:03}@{DOMAIN}" for number in range(67)]
"""Those of somebody with 200 contacts who are at one of three nodes."""

FEW = FRIENDS[:10]
STATUS = b"<show>away</show><status>status number 1</status>"


def sent() -> SentPresence:
    """A presence, with a show and a status."""
    presence = Presence.make(None, JID.parse(f"romeo@{DOMAIN}/orchard"), STATUS)
    return SentPresence.of(presence, SERIAL, 1)


def entries() -> dict[str, BusEntry]:
    """The entries, by what they are."""
    romeo, raw = f"romeo@{DOMAIN}/orchard", b"<message type='chat'><body>%b</body></message>" % BODY
    return {
        f"a message of {len(raw)} bytes": Routed(0, FRIENDS[0], romeo, "m1", "chat", raw),
        "a presence for one contact": Telling(sent(), FRIENDS[:1]),
        f"a presence for {len(FRIENDS)}": Telling(sent(), FRIENDS),
        f"a newcomer, to {len(FEW)} contacts": Arrived(romeo, SERIAL, sent(), FEW, [], FEW),
        f"its answer: {len(FEW)} presences": Here([sent()] * len(FEW), []),
        "an account has left": Gone(f"romeo@{DOMAIN}", SERIAL),
    }


def sizes() -> dict[str, int]:
    """The bytes of each, in a frame with others."""
    encode = Encoder().encode
    return {what: len(encode(entry)) for what, entry in entries().items()}


def main() -> int:
    """Print them."""
    print(f"A frame has {HEADER_BYTES} bytes more, however many entries there are in it.\n")
    print(table(["entry", "bytes"], [[what, str(size)] for what, size in sizes().items()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
