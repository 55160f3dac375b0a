"""One avatar, wherever clients look for it (CV-4 to CV-7)."""

from base64 import b64encode
from hashlib import sha1
from unittest.mock import patch
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.pep.verona import Publisher
from tests.plugins.pubsub.verona import NS, result_of
from xmppd.stanza import JID
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.testing.nodes import Nodes
from xmppd_plugins.avatars import AGAIN_S, DATA, MAX_BYTES, METADATA, UPDATE
from xmppd_plugins.pubsub.items import PublishedItems

ROMEO = "romeo@montague.lit"
PLUGINS = ("disco", "vcard", "caps", "pubsub", "pep", "avatars")
PICTURE = b"\x89PNG\r\n\x1a\n" + b"a face"
OTHER = b"\xff\xd8\xff" + b"another face"
CARD = "vcard-temp"


def hash_of(picture: bytes) -> str:
    """The id of an avatar."""
    return sha1(picture, usedforsecurity=False).hexdigest()


def coded(picture: bytes) -> str:
    """A picture in base64."""
    return b64encode(picture).decode()


def item(node: str, id: str, payload: str) -> str:
    """A request to publish an item."""
    inside = f"<publish node='{node}'><item id='{id}'>{payload}</item></publish>"
    return f"<pubsub xmlns='{NS}'>{inside}</pubsub>"


def card(picture: bytes | None, more: str = "<FN>Romeo</FN>") -> str:
    """A card, with a photo or without."""
    photo = ""
    if picture is not None:
        photo = f"<PHOTO><TYPE>image/png</TYPE><BINVAL>{coded(picture)}</BINVAL></PHOTO>"
    return f"<vCard xmlns='{CARD}'>{more}{photo}</vCard>"


class AvatarCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            plugins=PLUGINS, romeo={"juliet": "both"}, juliet={"romeo": "both"}, tybalt={}
        )
        self.romeo, self.juliet, self.tybalt = map(self.person, ("romeo", "juliet", "tybalt"))

    def person(self, name: str) -> Publisher:
        """Somebody who is online."""
        found = Publisher(self.house.bind(name), f"{name}@montague.lit")
        found.arrive()
        found.forget()
        return found

    def show(self, picture: bytes = PICTURE) -> None:
        """Have Romeo publish an avatar."""
        id = hash_of(picture)
        data = f"<data xmlns='{DATA}'>{coded(picture)}</data>"
        info = f"<info id='{id}' bytes='{len(picture)}' type='image/png'/>"
        metadata = f"<metadata xmlns='{METADATA}'>{info}</metadata>"
        for node, payload in ((DATA, data), (METADATA, metadata)):
            self.assertEqual(result_of(self.romeo.ask("set", item(node, id, payload))), "result")
        self.house.clock.advance(0)

    def photo(self, person: Publisher) -> str:
        """The photo in Romeo's card, in base64."""
        answer = person.ask("get", f"<vCard xmlns='{CARD}'/>", ROMEO)
        return answer.findtext(f".//{{{CARD}}}BINVAL") or ""

    def published(self) -> list[str]:
        """The ids in Romeo's metadata."""
        inside = f"<pubsub xmlns='{NS}'><items node='{METADATA}'/></pubsub>"
        answer = self.juliet.ask("get", inside, ROMEO)
        return [each.get("id", "") for each in answer.iter(f"{{{METADATA}}}info")]

    def hashes(self, person: Publisher) -> list[str]:
        """The hashes in the presences that have come from Romeo."""
        person.read()
        found = [
            each.findtext(f"{{{UPDATE}}}x/{{{UPDATE}}}photo", "-")
            for each in person.came
            if each.tag == "presence" and (each.get("from") or "").startswith(ROMEO)
        ]
        person.came.clear()
        return found


class CardTests(AvatarCase):
    def test_shown(self) -> None:
        """What is published stands in the card, for who may read it."""
        self.romeo.ask("set", card(None))
        self.show()
        for person in (self.romeo, self.juliet, self.tybalt):
            self.assertEqual(self.photo(person), coded(PICTURE))

    def test_without_card(self) -> None:
        """It does not take a card."""
        self.show()
        self.assertEqual(self.photo(self.juliet), coded(PICTURE))

    def test_taken(self) -> None:
        """A photo in a card is published, and the card keeps all else."""
        self.assertEqual(result_of(self.romeo.ask("set", card(PICTURE))), "result")
        self.assertEqual(self.published(), [hash_of(PICTURE)])
        answer = self.juliet.ask("get", f"<vCard xmlns='{CARD}'/>", ROMEO)
        self.assertEqual(answer.findtext(f".//{{{CARD}}}FN"), "Romeo")
        self.assertEqual(len(answer.findall(f".//{{{CARD}}}PHOTO")), 1)

    def test_removed(self) -> None:
        """A card without a photo takes the avatar away."""
        self.romeo.ask("set", card(PICTURE))
        self.romeo.ask("set", card(None))
        self.assertEqual((self.published(), self.photo(self.juliet)), ([], ""))

    def test_no_picture(self) -> None:
        """What is no picture, or too large, is refused, and nothing is changed."""
        self.romeo.ask("set", card(PICTURE))
        large = PICTURE + bytes(MAX_BYTES)
        for wrong in (card(b"a poem"), card(large), card(PICTURE).replace(coded(PICTURE), "%%%")):
            self.assertEqual(result_of(self.romeo.ask("set", wrong)), "not-acceptable")
        self.assertEqual(self.published(), [hash_of(PICTURE)])

    def test_no_data(self) -> None:
        """Metadata of a picture that is not there show no photo (CV-5)."""
        metadata = (
            f"<metadata xmlns='{METADATA}'><info id='abc' bytes='1' type='image/png'/></metadata>"
        )
        self.romeo.ask("set", item(METADATA, "abc", metadata))
        self.assertEqual(self.photo(self.romeo), "")


class PresenceTests(AvatarCase):
    def test_no_hash(self) -> None:
        """An id that is no hash is written into no presence, whatever it holds (CV-5)."""
        wrong = "&lt;/photo>&lt;/x>&lt;/presence>&lt;message from='tybalt@montague.lit'/>"
        info = f"<info id=\"{wrong}\" bytes='1' type='image/png'/>"
        metadata = f"<metadata xmlns='{METADATA}'>{info}</metadata>"
        published = self.romeo.ask("set", item(METADATA, "a", metadata))
        self.assertEqual(result_of(published), "result")
        self.house.clock.advance(AGAIN_S)
        self.romeo.client.send("<presence><show>away</show></presence>")
        self.assertEqual(self.hashes(self.juliet), ["-"])

    def test_told(self) -> None:
        """A new avatar is told with the last presence, and with each one from then on."""
        self.show()
        self.assertEqual(self.hashes(self.juliet), [hash_of(PICTURE)])
        self.romeo.client.send("<presence><show>away</show></presence>")
        self.assertEqual(self.hashes(self.juliet), [hash_of(PICTURE)])

    def test_corrected(self) -> None:
        """Another hash than that is written over; an empty one is the client's to say (CV-6)."""
        self.show()
        self.hashes(self.juliet)
        for photo, expected in (
            ("<photo>0123</photo>", hash_of(PICTURE)),
            ("", hash_of(PICTURE)),
            ("<photo/>", ""),
        ):
            self.romeo.client.send(f"<presence><x xmlns='{UPDATE}'>{photo}</x></presence>")
            self.assertEqual(self.hashes(self.juliet), [expected])

    def test_directed(self) -> None:
        """So it is where a room is entered."""
        self.show()
        self.romeo.client.send("<presence to='tybalt@montague.lit'/>")
        self.assertEqual(self.hashes(self.tybalt), [hash_of(PICTURE)])

    def test_not_too_often(self) -> None:
        """Hashes that change all the time are told every ten seconds (CV-7)."""
        self.show()
        self.show(OTHER)
        self.show()
        self.show(OTHER)
        self.assertEqual(self.hashes(self.juliet), [hash_of(PICTURE)])
        self.house.clock.advance(AGAIN_S)
        self.assertEqual(self.hashes(self.juliet), [hash_of(OTHER)])
        self.house.clock.advance(AGAIN_S)
        self.assertEqual(self.hashes(self.juliet), [])

    def test_login(self) -> None:
        """Whoever comes has it in the first presence; who has none has none."""
        self.show()
        self.romeo.client.abort()
        self.hashes(self.juliet)
        again = self.person("romeo")
        self.assertEqual(self.hashes(self.juliet), [hash_of(PICTURE)])
        again.client.raw()
        self.juliet.client.send("<presence/>")
        self.assertNotIn(UPDATE, "".join(again.client.received()))

    def test_remembered(self) -> None:
        """An account that was here before has its hash at once, without a look at the store; one
        that is removed leaves none to the next of its name.
        """
        self.show()
        self.romeo.client.abort()
        with patch.object(PublishedItems, "page", side_effect=AssertionError("it was read")):
            again = self.person("romeo")
        self.hashes(self.juliet)
        again.client.send("<presence><show>away</show></presence>")
        self.assertEqual(self.hashes(self.juliet), [hash_of(PICTURE)])
        done(self.house.server.accounts.remove(JID.parse(ROMEO)))
        self.house.add("romeo", {"juliet": "both"})
        self.hashes(self.juliet)
        self.person("romeo")
        self.assertEqual(self.hashes(self.juliet), ["-"])


class SeveralNodesTests(SynchronousTestCase):
    def test_another_server(self) -> None:
        """A client at another server of the service shows the new hash too."""
        nodes = Nodes("a", "b", plugins=PLUGINS, romeo={"juliet": "both"}, juliet={"romeo": "both"})
        here, there = nodes["a"].connect("romeo/1")[0], nodes["b"].connect("romeo/2")[0]
        (juliet,) = nodes["a"].connect("juliet")
        nodes.settle()
        juliet.received()
        here.send(f"<iq type='set' id='v'>{card(PICTURE)}</iq>")
        nodes.settle()
        nodes.clock.advance(0)
        nodes.settle()
        there.received()
        came = [ElementTree.fromstring(each) for each in juliet.received()]
        told = {
            each.get("from"): each.findtext(f"{{{UPDATE}}}x/{{{UPDATE}}}photo")
            for each in came
            if each.tag == "presence"
        }
        self.assertEqual(told, dict.fromkeys((f"{ROMEO}/1", f"{ROMEO}/2"), hash_of(PICTURE)))
