"""Clients find servers for their calls (:xep:`0215`)."""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.config import Config
from xmppd.plugin.plugin_error import PluginError
from xmppd.stanza.date_time import date_time
from xmppd.testing.client import Client
from xmppd.testing.house import SOME_AFTERNOON, House, house_config
from xmppd.testing.network import federate

NS = "urn:xmpp:extdisco:2"
SECRET = "north"
STUN = {"type": "stun", "host": "stun.montague.lit", "port": 3478, "transport": "udp"}
TURN = {"type": "turn", "host": "turn.montague.lit", "port": 3478, "secret": SECRET}


def config(*services: Mapping[str, object]) -> Config:
    """With these services."""
    return house_config("montague.lit", external_services={"service": list(services)})


class ServicesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            config=config(STUN, TURN), plugins=("disco", "external_services"), romeo={}, juliet={}
        )
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def ask(self, inner: str, client: Client | None = None) -> Element:
        """The answer to a request."""
        asker = client or self.romeo
        asker.send(f"<iq type='get' id='s' to='montague.lit'>{inner}</iq>")
        (answer,) = asker.received()
        return ElementTree.fromstring(answer)  # of our own server

    def services(self, attributes: str = "") -> list[dict[str, str]]:
        """The attributes of the services of an answer."""
        answer = self.ask(f"<services xmlns='{NS}'{attributes}/>")
        return [each.attrib for each in answer.iter(f"{{{NS}}}service")]

    def test_all(self) -> None:
        """All are shown; TURN with credentials that coturn's convention makes of the secret."""
        stun, turn = self.services()
        self.assertEqual(stun, {key: str(value) for key, value in STUN.items()})
        name = turn["username"]
        self.assertTrue(name.startswith(f"{SOME_AFTERNOON + 86_400:.0f}:"), name)
        self.assertNotIn("romeo", name)
        wanted = b64encode(hmac.digest(SECRET.encode(), name.encode(), "sha1")).decode()
        self.assertEqual(turn["password"], wanted)
        self.assertEqual(turn["expires"], date_time(SOME_AFTERNOON + 86_400))
        self.assertEqual(turn["restricted"], "true")
        self.assertNotEqual(self.services()[1]["username"], name)

    def test_of_a_type(self) -> None:
        """Those of one type are shown, or none."""
        self.assertEqual([each["type"] for each in self.services(" type='turn'")], ["turn"])
        self.assertEqual(self.services(" type='ftp'"), [])

    def test_credentials(self) -> None:
        """Credentials for one are given, where there are some."""
        query = f"<credentials xmlns='{NS}'><service{{}}/></credentials>"
        answer = self.ask(query.format(" type='turn' host='turn.montague.lit'"))
        (turn,) = answer.iter(f"{{{NS}}}service")
        self.assertIn("password", turn.attrib)
        for attributes, condition in (
            (" type='stun' host='stun.montague.lit'", "item-not-found"),
            (" type='turn' host='turn.montague.lit' port='1'", "item-not-found"),
            (" type='turn'", "bad-request"),
        ):
            said = ElementTree.tostring(self.ask(query.format(attributes))).decode()
            self.assertIn(condition, said)

    def test_changed(self) -> None:
        """Whoever has asked is told of what comes and goes; others are not."""
        self.services(" type='turn'")
        other = {**TURN, "host": "relay.montague.lit"}
        self.house.reload(config(STUN, other))
        (push,) = self.romeo.received()
        told = ElementTree.fromstring(push)  # of our own server
        self.assertEqual(told.get("type"), "set")
        gone, new = told.iter(f"{{{NS}}}service")
        self.assertEqual((gone.get("action"), gone.get("host")), ("delete", "turn.montague.lit"))
        self.assertEqual((new.get("action"), new.get("host")), ("add", "relay.montague.lit"))
        self.assertNotIn("password", gone.attrib)
        self.assertIn("password", new.attrib)
        self.assertEqual(self.juliet.received(), [])

    def test_strangers(self) -> None:
        """Nobody from elsewhere is given anything."""
        capulet = House("capulet.lit", tybalt={})
        federate(self.house, capulet)
        (tybalt,) = capulet.connect("tybalt")
        said = ElementTree.tostring(self.ask(f"<services xmlns='{NS}'/>", tybalt)).decode()
        self.assertIn("not-allowed", said)
        self.assertNotIn("turn.montague.lit", said)

    def test_none(self) -> None:
        """Where no service is named, none is announced."""
        house = House(plugins=("disco", "external_services"), romeo={})
        (romeo,) = house.connect("romeo")
        romeo.send(
            "<iq type='get' id='d' to='montague.lit'>"
            "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
        )
        self.assertNotIn(NS, romeo.received()[0])

    def test_secret_file(self) -> None:
        """A secret may stand in a file; one that cannot be read stops the start, in a sentence."""
        with NamedTemporaryFile("w") as file:
            file.write(f"{SECRET}\n")
            file.flush()
            service = {"type": "turn", "host": "t", "secret_file": file.name}
            House(config=config(service), plugins=("external_services",))
            path = Path(file.name)
        error = self.assertRaises(
            PluginError, House, config=config(service), plugins=("external_services",)
        )
        self.assertIn(f"secret_file {path} cannot be read (", str(error))
