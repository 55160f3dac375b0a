"""XEP-0115 from the wire."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.test_disco import ask, condition, features
from xmppd.disco.info import DiscoIdentity, DiscoInfo
from xmppd.stanza import parse
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config
from xmppd_plugins.caps.server import NODE, NS
from xmppd_plugins.caps.verification import CAPS_2, hash_2, verification_string
from xmppd_plugins.disco import INFO, ITEMS

CAPS = f"{{{NS}}}c"


def stream_features(client: Client) -> ElementTree.Element:
    """What the stream offers a client that opens it anew."""
    client.raw()
    client.handler.restart()
    client.open(client.house.domain)
    return ElementTree.fromstring(client.raw() + b"</stream:stream>")[0]


def announced(house: House, name: str = "romeo") -> str:
    """The hash that a client of this account is told."""
    found = stream_features(house.logged_in(name)).find(CAPS)
    assert found is not None
    assert (found.get("hash"), found.get("node")) == ("sha-1", NODE)
    return found.attrib["ver"]


class HashTests(SynchronousTestCase):
    """The verification string."""

    def test_simple(self) -> None:
        """The XEP's simple example comes out as it says (§5.2)."""
        info = DiscoInfo(
            (DiscoIdentity("client", "pc", "Exodus 0.9.1"),),
            ("http://jabber.org/protocol/muc", NS, ITEMS, INFO),
        )
        self.assertEqual(verification_string(info), "QgayPKawpkPSDYmwT/WM94uAlu0=")

    def test_complex(self) -> None:
        """So does the one with two languages and a form, whatever their order (§5.3)."""
        form = parse(
            b"<x xmlns='jabber:x:data' type='result'>"
            b"<field var='software_version'><value>0.11</value></field>"
            b"<field var='FORM_TYPE' type='hidden'>"
            b"<value>urn:xmpp:dataforms:softwareinfo</value></field>"
            b"<field var='ip_version' type='text-multi'>"
            b"<value>ipv6</value><value>ipv4</value></field>"
            b"<field var='os'><value>Mac</value></field>"
            b"<field var='os_version'><value>10.5.1</value></field>"
            b"<field var='software'><value>Psi</value></field></x>"
        )
        info = DiscoInfo(
            (
                DiscoIdentity("client", "pc", "Psi 0.11", "en"),
                DiscoIdentity("client", "pc", "Ψ 0.11", "el"),
            ),
            (NS, INFO, ITEMS, "http://jabber.org/protocol/muc"),
            (form,),
        )
        self.assertEqual(verification_string(info), "q07IKJEyjvHSyhy//CH0CxmKi8w=")

    def test_form_without_type(self) -> None:
        """A form that does not say what it is, in a hidden field, does not count (§5.4)."""
        bare = DiscoInfo((DiscoIdentity("server", "im"),), (INFO,))
        for line in (
            "<field var='os'><value>Mac</value></field>",
            "<field var='FORM_TYPE'><value>urn:form</value></field>",
            "<field var='FORM_TYPE' type='hidden'/>",
        ):
            form = parse(f"<x xmlns='jabber:x:data'>{line}</x>".encode())
            self.assertEqual(
                verification_string(DiscoInfo(bare.identities, bare.features, (form,))),
                verification_string(bare),
            )


class Hash2Tests(SynchronousTestCase):
    """The hash of XEP-0390."""

    def test_simple(self) -> None:
        """The XEP's simple example comes out as it says (§4.5.1)."""
        features = [
            "jabber.org/protocol/si",
            "jabber.org/protocol/bytestreams",
            "jabber.org/protocol/chatstates",
            "jabber.org/protocol/disco#info",
            "jabber.org/protocol/disco#items",
            "jabber.org/protocol/ibb",
            "jabber.org/protocol/rosterx",
            "jabber.org/protocol/si/profile/file-transfer",
        ]
        more = [
            "jabber:iq:last",
            "jabber:iq:privacy",
            "jabber:iq:roster",
            "jabber:iq:time",
            "jabber:iq:version",
            "jabber:x:oob",
            "urn:xmpp:ping",
            "urn:xmpp:receipts",
            "urn:xmpp:time",
        ]
        info = DiscoInfo(
            (DiscoIdentity("client", "mobile", "BombusMod"),),
            (*(f"http://{each}" for each in features), *more),
        )
        self.assertEqual(hash_2(info, "sha-256"), "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8=")
        self.assertEqual(hash_2(info, "sha3-256"), "79mdYAfU9rEdTOcWDO7UEAt6E56SUzk/g6TnqUeuD9Q=")

    def test_complex(self) -> None:
        """So does the one with two languages and a form (§4.5.2)."""
        words = [
            "activity",
            "activity+notify",
            "bytestreams",
            "chatstates",
            "commands",
            "disco#info",
            "disco#items",
            "evil",
            "feature-neg",
            "geoloc",
            "geoloc+notify",
            "ibb",
            "iqibb",
            "mood",
            "mood+notify",
            "rosterx",
            "si",
            "si/profile/file-transfer",
            "tune",
        ]
        older = [
            "iq:avatar",
            "iq:browse",
            "iq:dtcp",
            "iq:filexfer",
            "iq:ibb",
            "iq:inband",
            "iq:jidlink",
            "iq:last",
            "iq:oob",
            "iq:privacy",
            "iq:roster",
            "iq:time",
            "iq:version",
            "x:data",
            "x:event",
            "x:oob",
        ]
        newer = ["avatar:metadata+notify", "ping", "receipts", "time"]
        features = (
            "games:board",
            "http://www.facebook.com/xmpp/messages",
            "http://www.xmpp.org/extensions/xep-0084.html#ns-metadata+notify",
            *(f"http://jabber.org/protocol/{word}" for word in words),
            *(f"jabber:{word}" for word in older),
            *(f"urn:xmpp:{word}" for word in newer),
        )
        form = parse(
            b"<x xmlns='jabber:x:data' type='result'><field type='hidden' var='FORM_TYPE'>"
            b"<value>urn:xmpp:dataforms:softwareinfo</value></field>"
            b"<field var='software'><value>Tkabber</value></field><field var='software_version'>"
            b"<value>0.11.1-svn-20111216-mod (Tcl/Tk 8.6b2)</value></field>"
            b"<field var='os'><value>Windows</value></field>"
            b"<field var='os_version'><value>XP</value></field></x>"
        )
        names = (("Tkabber", "en"), ("Ткаббер", "ru"))
        identities = tuple(DiscoIdentity("client", "pc", *name) for name in names)
        info = DiscoInfo(identities, features, (form,))
        self.assertEqual(hash_2(info, "sha-256"), "u79ZroNJbdSWhdSp311mddz44oHHPsEBntQ5b1jqBSY=")
        self.assertEqual(hash_2(info, "sha3-256"), "XpUJzLAc93258sMECZ3FJpebkzuyNXDzRNwQog8eycg=")


class StreamFeatureTests(SynchronousTestCase):
    """The hash in the stream features, and what it stands for."""

    def setUp(self) -> None:
        self.house = House(plugins=("disco", "caps", "ping"), romeo={})

    def test_not_before_login(self) -> None:
        """Strangers are not told."""
        self.assertIsNone(stream_features(self.house.unauthenticated()).find(CAPS))

    def test_hash_of_the_answer(self) -> None:
        """The hash is that of what disco#info says, and its node says the same."""
        ver = announced(self.house)
        (romeo,) = self.house.connect("romeo")
        plain = ask(romeo, INFO, "montague.lit")
        noded = ask(romeo, INFO, "montague.lit", f"{NODE}#{ver}")
        listed = features(plain)
        self.assertIn(NS, listed)
        info = DiscoInfo((DiscoIdentity("server", "im", "xmppd"),), tuple(listed))
        self.assertEqual(verification_string(info), ver)
        self.assertEqual(noded[0].attrib.pop("node"), f"{NODE}#{ver}")
        self.assertEqual(ElementTree.tostring(noded), ElementTree.tostring(plain))

    def test_second(self) -> None:
        """The hashes of XEP-0390 are there as well, and their nodes say what was hashed."""
        found = stream_features(self.house.logged_in("romeo")).find(f"{{{CAPS_2}}}c")
        assert found is not None
        (romeo,) = self.house.connect("romeo")
        plain = ask(romeo, INFO, "montague.lit")
        self.assertIn(CAPS_2, features(plain))
        info = DiscoInfo((DiscoIdentity("server", "im", "xmppd"),), tuple(features(plain)))
        for hash in found:
            algorithm = hash.attrib["algo"]
            self.assertEqual(hash.text, hash_2(info, algorithm))
            node = f"{CAPS_2}#{algorithm}.{hash.text}"
            noded = ask(romeo, INFO, "montague.lit", node)
            self.assertEqual(features(noded), features(plain))
        self.assertEqual({hash.get("algo") for hash in found}, {"sha-256", "sha3-256"})

    def test_extensions_count(self) -> None:
        """The server's contact addresses are part of the hash."""
        config = house_config("montague.lit", contact={"abuse": ("mailto:a@montague.lit",)})
        house = House(plugins=("disco", "caps", "ping", "contact_addresses"), config=config)
        house.add("romeo")
        with_form = announced(house)
        done(house.plugins.unload("contact_addresses"))
        self.assertEqual(announced(house), announced(self.house))
        self.assertNotEqual(announced(house), with_form)

    def test_plugins_change(self) -> None:
        """A plugin that comes or goes changes the hash; the old one's node is gone."""
        before = announced(self.house)
        done(self.house.plugins.unload("ping"))
        after = announced(self.house)
        self.assertNotEqual(before, after)
        (romeo,) = self.house.connect("romeo")
        answer = ask(romeo, INFO, "montague.lit", f"{NODE}#{before}")
        self.assertEqual(condition(answer), "item-not-found")
        done(self.house.plugins.load("ping"))
        self.assertEqual(announced(self.house), before)

    def test_configuration_changes(self) -> None:
        """A new configuration is seen at once."""
        done(self.house.plugins.load("contact_addresses"))
        before = announced(self.house)
        self.house.reload(
            house_config("montague.lit", contact={"abuse": ("mailto:a@montague.lit",)})
        )
        self.assertNotEqual(announced(self.house), before)

    def test_no_items(self) -> None:
        """The hash's node has no items."""
        ver = announced(self.house)
        (romeo,) = self.house.connect("romeo")
        answer = ask(romeo, ITEMS, "montague.lit", f"{NODE}#{ver}")
        self.assertEqual((answer.get("type"), len(answer[0])), ("result", 0))

    def test_unload(self) -> None:
        """Without the plugin nothing is announced."""
        done(self.house.plugins.unload("caps"))
        self.assertIsNone(stream_features(self.house.logged_in("romeo")).find(CAPS))
