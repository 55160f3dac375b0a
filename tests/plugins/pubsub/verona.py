"""A service of nodes in Verona, and people who ask it."""

from collections.abc import Sequence
from typing import ClassVar
from xml.etree import ElementTree

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import ns
from xmppd.stanza.xml import Tree, local_name
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config

NS = "http://jabber.org/protocol/pubsub"
OWNER = f"{NS}#owner"
EVENT = f"{NS}#event"
SERVICE = "pubsub.montague.lit"
ENTRY = "<entry xmlns='urn:verona'>{}</entry>"
WORDS = "{urn:verona}entry"


def form(form_type: str, **values: str | Sequence[str]) -> str:
    """A submitted form, whose fields are called ``pubsub#`` and more."""
    lines = [f"<field var='FORM_TYPE' type='hidden'><value>{form_type}</value></field>"]
    for var, value in values.items():
        several = (value,) if isinstance(value, str) else value
        inside = "".join(f"<value>{each}</value>" for each in several)
        lines.append(f"<field var='pubsub#{var}'>{inside}</field>")
    return f"<x xmlns='jabber:x:data' type='submit'>{''.join(lines)}</x>"


def config(**values: str | Sequence[str]) -> str:
    """A form of a node's configuration."""
    return form(f"{NS}#node_config", **values)


def result_of(answer: Tree) -> str:
    """The condition of an error, with an application's own behind it; or the type of a result."""
    error = answer.find("error")
    if error is None:
        return answer.get("type", "")
    found = [child for child in error if child.tag != f"{{{ns.STANZA_ERRORS}}}text"]
    words = [local_name(child.tag) for child in found]
    words += [value for child in found for value in child.attrib.values()]
    return " ".join(words)


class PubSubTestCase(SynchronousTestCase):
    """The prince is an administrator; Romeo, Juliet and Tybalt are not. All may make nodes."""

    settings: ClassVar[dict[str, object]] = {"create": "local"}

    def setUp(self) -> None:
        configured = house_config("montague.lit", pubsub=self.settings)
        self.house = House(
            config=replace(configured, admins=("prince@montague.lit",)),
            plugins=("disco", "adhoc_commands", "pubsub"),
            prince={},
            romeo={},
            juliet={},
            tybalt={},
        )
        self.connect()

    def connect(self) -> None:
        """All of them are there."""
        self.prince, self.romeo, self.juliet, self.tybalt = self.people = self.house.connect(
            "prince", "romeo", "juliet", "tybalt"
        )
        for client in self.people:
            client.raw()

    def wait(self, minutes: int) -> None:
        """Let some time pass, in which all stay connected."""
        for _ in range(minutes):
            self.house.clock.advance(60)
            for client in self.people:
                client.send(" ")

    def ask(self, client: Client, kind: str, inside: str, namespace: str = NS) -> Tree:
        """The answer to a request; what else comes is there for later."""
        query = f"<pubsub xmlns='{namespace}'>{inside}</pubsub>"
        client.send(f"<iq type='{kind}' id='q' to='{SERVICE}'>{query}</iq>")
        came = [ElementTree.fromstring(each) for each in client.received()]
        self.later = [each for each in came if each.tag != "iq"]
        (answer,) = [each for each in came if each.tag == "iq"]
        return answer

    def asked(self, client: Client, kind: str, inside: str, namespace: str = NS) -> str:
        """How that ended."""
        return result_of(self.ask(client, kind, inside, namespace))

    def create(self, client: Client, node: str, **values: str | Sequence[str]) -> str:
        """Have a node made; returns how that ended."""
        configured = f"<configure>{config(**values)}</configure>" if values else ""
        return self.asked(client, "set", f"<create node='{node}'/>{configured}")

    def publish(self, client: Client, node: str, *items: tuple[str, str], beside: str = "") -> str:
        """Publish items; returns how that ended."""
        inside = "".join(f"<item id='{id}'>{ENTRY.format(words)}</item>" for id, words in items)
        return self.asked(client, "set", f"<publish node='{node}'>{inside}</publish>{beside}")

    def subscribe(self, client: Client, node: str, name: str, beside: str = "") -> str:
        """Subscribe somebody's account; returns how that ended."""
        inside = f"<subscribe node='{node}' jid='{name}@montague.lit'/>{beside}"
        return self.asked(client, "set", inside)

    def items(
        self, client: Client, node: str, how: str = "", beside: str = ""
    ) -> list[tuple[str, str]]:
        """The ids and words of a node's items."""
        answer = self.ask(client, "get", f"<items node='{node}' {how}/>{beside}")
        self.assertEqual(result_of(answer), "result")
        return [
            (item.get("id", ""), item.findtext(WORDS) or "")
            for item in answer.iter(f"{{{NS}}}item")
        ]

    def events(self, client: Client) -> list[Tree]:
        """What somebody is told: the children of ``<event/>``."""
        told = [ElementTree.fromstring(each) for each in client.received()]
        return [event[0] for each in told for event in each.iter(f"{{{EVENT}}}event")]

    def told(self, client: Client) -> list[tuple[str, str]]:
        """The items that somebody is told of: an id and its words, or that it is gone."""
        found = []
        for event in self.events(client):
            for item in event:
                words = "gone" if local_name(item.tag) == "retract" else item.findtext(WORDS)
                found.append((item.get("id", ""), words or ""))
        return found
