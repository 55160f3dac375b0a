"""What one says by TCP, by WebSocket or by BOSH is the same to whoever hears it."""

import re
from collections.abc import Callable, Iterator
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.odd_stanzas import STREAM, odd_stanza, read_stream
from tests.unit.web.bosh_client import BoshClient
from tests.unit.web.web_socket_client import WebSocketClient
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config
from xmppd.testing.web import WebClient

JULIET = "juliet@montague.lit/1"
WAYS = ("tcp", "web socket", "bosh")
_NAME = re.compile(r"<([^\s/>]+)")
_ATTRIBUTE = re.compile(r"\s+([^\s=/>]+)\s*=\s*(?:'[^']*'|\"[^\"]*\")")


def alone(stanza: str) -> str:
    """A stanza that says itself which namespaces it is in, as one that stands alone has to."""
    name = _NAME.match(stanza)
    assert name is not None
    at, declared = name.end(), set()
    while found := _ATTRIBUTE.match(stanza, at):
        declared.add(found[1])
        at = found.end()
    said = ""
    if ":" not in name[1] and "xmlns" not in declared:
        said += " xmlns='jabber:client'"
    if "stream:" in stanza and "xmlns:stream" not in declared:
        said += f" xmlns:stream='{STREAM}'"
    return stanza[: name.end()] + said + stanza[name.end() :]


def torn(data: bytes, step: int, send: Callable[[bytes], None]) -> None:
    """Send bytes in pieces."""
    for at in range(0, len(data), step):
        send(data[at : at + step])


class TornClient(WebClient):
    """A connection on which a request goes out in pieces."""

    step = 1

    def send(self, data: bytes) -> None:
        torn(data, self.step, super().send)


def by_tcp(house: House, stanzas: list[str], step: int, random: Random) -> None:
    """Say them over TCP."""
    romeo = house.bind("romeo")
    torn("".join(stanzas).encode(), step, romeo.send)


def by_web_socket(house: House, stanzas: list[str], step: int, random: Random) -> None:
    """Say them by WebSocket, each in a frame."""
    romeo = WebSocketClient(house)
    romeo.log_in("romeo")
    torn(romeo.framed(*map(alone, stanzas)), step, romeo.send)


def by_bosh(house: House, stanzas: list[str], step: int, random: Random) -> None:
    """Say them by BOSH: some in one body, and bodies in any order that the window allows, some of
    them twice.
    """
    romeo = BoshClient(house)
    romeo.log_in("romeo")
    romeo.sent_by = lambda: TornClient(house)
    TornClient.step = step
    bodies = list(enumerate(_bodies(stanzas, random), romeo.rid + 1))
    while bodies:
        window, bodies = bodies[:2], bodies[2:]
        random.shuffle(window)
        for rid, content in window:
            for _ in range(random.choice((1, 1, 2))):
                romeo.ask("", content, rid=rid)


def _bodies(stanzas: list[str], random: Random) -> Iterator[str]:
    left = list(map(alone, stanzas))
    while left:
        size = random.randint(1, 3)
        yield "".join(left[:size])
        left = left[size:]


SAY = {"tcp": by_tcp, "web socket": by_web_socket, "bosh": by_bosh}


class SameStanzasTests(SynchronousTestCase):
    def heard(self, way: str, stanzas: list[str], step: int, seed: int) -> bytes:
        """What Juliet gets, who is there by TCP."""
        house = House(config=house_config("montague.lit"), romeo={}, juliet={})
        (juliet,) = house.connect("juliet")
        assert isinstance(juliet, Client)
        SAY[way](house, stanzas, step, Random(seed))
        house.clock.advance(0)
        return juliet.raw()

    @settings(max_examples=8, deadline=None)
    @given(st.integers(0, 1 << 32), st.integers(1, 5), st.sampled_from((1, 2, 3, 7, 1 << 20)))
    def test_same(self, seed: int, count: int, step: int) -> None:
        """However odd they are, torn at every byte, and out of order as far as BOSH allows that,
        the same stanzas arrive in the same order.
        """
        random = Random(seed)
        stanzas = [
            odd_stanza(random, "message", to=JULIET, type="chat", id=f"m{number}", depth=3)
            for number in range(count)
        ]
        heard = {
            way: read_stream(
                f"<stream:stream xmlns='jabber:client' xmlns:stream='{STREAM}'>".encode()
                + self.heard(way, stanzas, step, seed)
                + b"</stream:stream>"
            )
            for way in WAYS
        }
        ids = [each.attributes["", "id"] for each in heard["tcp"]]
        self.assertEqual(ids, [f"m{number}" for number in range(count)])
        for way in WAYS[1:]:
            self.assertEqual(heard[way], heard["tcp"], way)
