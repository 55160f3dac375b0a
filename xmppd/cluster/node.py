"""Nodes: the processes of one service, by name and generation."""

from functools import lru_cache
from typing import NamedTuple

from msgspec import Struct


class NodeId(NamedTuple):
    """One life of a node.

    Attributes:
        name: As it is configured; any text without white space. Empty if there is no other node.
        generation: Rises each time that a node of this name joins.
    """

    name: str
    generation: int

    def __str__(self) -> str:
        return f"{self.name}.{self.generation}" if self.name else ""

    @classmethod
    def parse(cls, text: str) -> "NodeId":
        """The node of ``name.generation``; :data:`ALONE` if the text is empty.

        Raises:
            ValueError: It is none.
        """
        return _parsed(text)


class Location(NamedTuple):
    """Where a session is.

    Attributes:
        node: That has it.
        serial: Microseconds of the directory's clock when the session was entered: of two sessions
            of one full JID the one with the higher serial is the later one.
    """

    node: NodeId
    serial: int

    def __str__(self) -> str:
        return f"{self.node}.{self.serial}"

    @classmethod
    def parse(cls, text: str) -> "Location":
        """The location of ``name.generation.serial``.

        Raises:
            ValueError: It is none.
        """
        node, _, serial = text.rpartition(".")
        if not (serial.isascii() and serial.isdigit()):
            raise ValueError(f"{text!r} is not the location of a session")
        return cls(NodeId.parse(node), int(serial))


class Node(Struct, frozen=True, kw_only=True):
    """What a node says of itself to the others.

    Attributes:
        id: Its name and generation.
        number: From 0 to 255; no two nodes have the same at one time.
        instance: Kept in its data directory: the same in all its lives there.
        address: ``host:port`` that other nodes dial; empty if it has no door for nodes.
        client_address: ``host:port`` that clients may be sent to; empty if they are sent nowhere.
        client_url: The same for clients that came by HTTP: a URL.
        certificate: Digest of the certificate that it shows to them.
        secret: Digest of the secret that all nodes share.
        domains: Digest of the domains that they serve.
        database: Names the database that they use.
        protocol: Version of what it speaks to other nodes.
        kinds: The kinds of things that it takes up (:class:`~xmppd.cluster.claims.Owned`).
        draining: Whether it is about to leave.
        since: Seconds since 1970.
        entered: The era of the board up to which all its sessions are in the directory.
    """

    id: NodeId
    number: int = 0
    instance: str = ""
    address: str = ""
    client_address: str = ""
    client_url: str = ""
    certificate: str = ""
    secret: str = ""
    domains: str = ""
    database: str = ""
    protocol: int = 1
    kinds: tuple[str, ...] = ()
    draining: bool = False
    since: float = 0.0
    entered: str = ""


ALONE = NodeId("", 0)
"""The node of a service that has only one; as text it is empty."""

MAX_PARSED = 1_000
"""The ids that are kept, so that all places which name a node share one."""


@lru_cache(MAX_PARSED)
def _parsed(text: str) -> NodeId:
    if not text:
        return ALONE
    name, dot, generation = text.rpartition(".")
    if not (name and dot and generation.isascii() and generation.isdigit()):
        raise ValueError(f"{text!r} is not the name and generation of a node")
    return NodeId(name, int(generation))


__all__ = ["ALONE", "Location", "Node", "NodeId"]
