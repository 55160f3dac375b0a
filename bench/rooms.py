"""Rooms under load: how clients enter them, and what one of them is told (XEP-0045)."""

import re
import time
from collections.abc import Callable

from bench.client import BenchError, Client, Connections, ignore

MUC = b"http://jabber.org/protocol/muc"
JOINS_AT_ONCE = 20
ENTERED_TIMEOUT_S = 120.0
SELF_PRESENCE = re.compile(rb"code=['\"]110['\"]")
ERROR = re.compile(rb"type=['\"]error['\"]")
CONFIG = (
    b"<field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>"
    b"<field var='muc#roomconfig_maxusers'><value>5000</value></field>"
    b"<field var='muc#roomconfig_persistentroom'><value>%d</value></field>"
)


def new_room(domain: str) -> bytes:
    """The address of a room that is not there yet."""
    return f"bench{time.time_ns()}@conference.{domain}".encode()


def open_room(
    connections: Connections, owner: Client, room: bytes, *, persistent: bool = False
) -> None:
    """Make a room, and have others enter it; one that is persistent has an archive."""
    enter(connections, [owner], room)
    fields = CONFIG % persistent
    owner.send(
        b"<iq type='set' id='owner' to='%b'><query xmlns='%b#owner'>"
        b"<x xmlns='jabber:x:data' type='submit'>%b</x></query></iq>" % (room, MUC, fields)
    )
    connections.drain()


def fill_room(connections: Connections, clients: list[Client], room: bytes) -> None:
    """Have clients enter a room, some at once."""
    for first in range(0, len(clients), JOINS_AT_ONCE):
        enter(connections, clients[first : first + JOINS_AT_ONCE], room)
    connections.drain(0.5)


def join(room: bytes, client: Client) -> bytes:
    """The presence by which a client enters a room."""
    return b"<presence to='%b/nick%d'><x xmlns='%b'><history maxstanzas='0'/></x></presence>" % (
        room,
        client.index,
        MUC,
    )


def enter(connections: Connections, clients: list[Client], room: bytes) -> None:
    """Enter a room and wait for the own presence (status 110)."""
    outside = set(clients)

    def watching(client: Client) -> Callable[[bytes], None]:
        def on_data(data: bytes) -> None:
            client.received = client.received[-40:] + data
            if SELF_PRESENCE.search(client.received):
                outside.discard(client)
                client.on_data = ignore
            elif ERROR.search(client.received):
                raise BenchError(f"{client.user} may not enter, {client.received[-300:]!r}")

        return on_data

    for client in clients:
        client.received = b""
        client.on_data = watching(client)
        client.send(join(room, client))
    connections.serve_until(lambda: not outside, ENTERED_TIMEOUT_S)


def leave(room: bytes, client: Client) -> bytes:
    """The presence by which a client leaves a room."""
    return b"<presence type='unavailable' to='%b/nick%d'/>" % (room, client.index)


__all__ = ["enter", "fill_room", "join", "leave", "new_room", "open_room"]
