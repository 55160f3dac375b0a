"""The listeners that a set-up makes, by the names that it gives them."""

from dataclasses import dataclass

MAX_PORT = 65_535


@dataclass(frozen=True)
class SetupDoor:
    """A listener.

    Attributes:
        name: One of :data:`DOORS`.
        port: Of TCP.
    """

    name: str
    port: int


DOORS = {
    "clients": (5222, 'kind = "client"\ntls = "starttls"'),
    "clients-tls": (5223, 'kind = "client"\ntls = "direct"'),
    "servers": (5269, 'kind = "server"\ntls = "starttls"'),
    "servers-tls": (5270, 'kind = "server"\ntls = "direct"'),
    "web": (443, 'kind = "http"\ntls = "direct"\nserve = ["web"]'),
    "acme": (80, 'kind = "http"\ntls = "none"\nserve = ["acme"]'),
    "metrics": (8080, 'kind = "http"\ntls = "none"\nserve = ["metrics"]'),
}
"""The usual port of each, and its table without the endpoint."""

HERE = ("metrics",)
"""Those that only programs of this machine are served at."""

SERVICES = {
    "clients": "_xmpp-client",
    "clients-tls": "_xmpps-client",
    "servers": "_xmpp-server",
    "servers-tls": "_xmpps-server",
}
"""What DNS calls them."""


def doors_of(text: str) -> tuple[SetupDoor, ...]:
    """The doors that are named, each perhaps with a port behind a colon.

    Raises:
        ValueError: With a sentence.
    """
    doors = []
    for word in text.replace(",", " ").split():
        name, colon, number = word.partition(":")
        if name not in DOORS:
            raise ValueError(f'"{name}" is not one of {", ".join(DOORS)}')
        if colon and not (number.isdecimal() and 0 < int(number) <= MAX_PORT):
            raise ValueError(f'"{number}" is not a port from 1 to {MAX_PORT}')
        doors.append(SetupDoor(name, int(number) if colon else DOORS[name][0]))
    if not any(door.name.startswith("clients") for door in doors):
        raise ValueError("none of the listeners is for clients; add clients")
    if len({door.port for door in doors}) < len(doors):
        raise ValueError("two listeners have the same port")
    return tuple(doors)
