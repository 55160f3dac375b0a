"""A house with rooms, and people who enter them."""

import re
from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.config import Config
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config

MUC = "http://jabber.org/protocol/muc"
SERVICE = "conference.montague.lit"
ORCHARD = f"orchard@{SERVICE}"
CONFIG = f"{MUC}#roomconfig"
INSTANT = f"<query xmlns='{MUC}#owner'><x xmlns='jabber:x:data' type='submit'/></query>"


class RoomsCase(SynchronousTestCase):
    """A house in memory, with rooms."""

    plugins: tuple[str, ...] = ("disco", "ping", "muc")
    people: tuple[str, ...] = ("romeo", "juliet", "nurse")

    def setUp(self) -> None:
        self.house = House(plugins=self.plugins, config=self.config())
        for name in self.people:
            self.house.add(name, {})

    def config(self) -> Config:
        """The configuration of the house."""
        return rooms_config()

    def client(self, name: str) -> Client:
        """A client that is online; with a resource, as ``romeo/orchard``."""
        (client,) = self.house.connect(name)
        return client

    def enter(self, client: Client, nick: str, inner: str = "", room: str = ORCHARD) -> list[str]:
        """Enter a room, and return all that was received."""
        client.raw()
        client.send(f"<presence to='{room}/{nick}'><x xmlns='{MUC}'>{inner}</x></presence>")
        return client.received()

    def opened(self, *names: str, room: str = ORCHARD) -> list[Client]:
        """A room in which these people are, by their names; the first has made it. Nobody has
        anything left to read.
        """
        clients = [self.client(name) for name in names]
        for name, client in zip(names, clients, strict=True):
            entered = self.enter(client, name.partition("/")[0].capitalize(), room=room)
            if client is clients[0] and any("code='201'" in each for each in entered):
                client.send(f"<iq type='set' id='open' to='{room}'>{INSTANT}</iq>")
        for client in clients:
            client.raw()
        return clients

    def opened_by(self, client: Client, room: str) -> None:
        """A room that somebody has made, and is in."""
        self.enter(client, "Somebody", room=room)
        client.send(f"<iq type='set' id='open' to='{room}'>{INSTANT}</iq>")
        client.raw()

    def say(self, client: Client, body: str, room: str = ORCHARD) -> None:
        """Say something to all."""
        client.send(f"<message type='groupchat' to='{room}'><body>{body}</body></message>")


class RunningCase(RoomsCase):
    """Requests about the orchard."""

    def ask(
        self,
        client: Client,
        inner: str,
        kind: str = "admin",
        type: str = "set",
        room: str = ORCHARD,
    ) -> str:
        """Ask a room, and return the answer; all that came with it is in ``told``."""
        client.raw()
        client.send(
            f"<iq type='{type}' id='ask' to='{room}'><query xmlns='{MUC}#{kind}'>{inner}"
            "</query></iq>"
        )
        self.told = client.received()
        (answer,) = [each for each in self.told if each.startswith("<iq")]
        return answer

    def affiliate(self, client: Client, who: str, affiliation: str, inner: str = "") -> str:
        """Have somebody be something to the room."""
        item = f"<item jid='{who}@montague.lit' affiliation='{affiliation}'>{inner}</item>"
        return self.ask(client, item)

    def configure(self, client: Client, room: str = ORCHARD, **values: str) -> str:
        """Have the room be configured so; a value has words."""
        fields = "".join(
            f"<field var='muc#roomconfig_{name}'>"
            + "".join(f"<value>{word}</value>" for word in value.split())
            + "</field>"
            for name, value in values.items()
        )
        form = (
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            f"<value>{CONFIG}</value></field>{fields}</x>"
        )
        return self.ask(client, form, "owner", room=room)

    def assert_done(self, answer: str) -> None:
        """The request was done."""
        self.assertIn("type='result'", answer)


def rooms_config(**muc: object) -> Config:
    """The configuration of a house with settings of rooms."""
    tables: Mapping[str, Mapping[str, object]] = {"muc": muc}
    return house_config("montague.lit", **tables)


def bodies(received: list[str]) -> list[str]:
    """The texts of these messages."""
    return [text for each in received for text in re.findall(r"<body>(.*?)</body>", each)]


def codes(received: str) -> set[int]:
    """The status codes of a stanza."""
    return {int(code) for code in re.findall(r"<status code='(\d+)'/>", received)}


def condition(received: str) -> str:
    """The condition of an error."""
    found = re.search(r"<error [^>]*><([a-z-]+) ", received)
    return found[1] if found else received
