"""What clients want to be told is learned from their capabilities (EC-1 to EC-7)."""

import re
from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from xmppd.disco.info import DiscoIdentity, DiscoInfo
from xmppd.session.local_client_session import LocalClientSession
from xmppd.testing.client import Client, Elsewhere
from xmppd.testing.house import House
from xmppd_plugins.caps.clients import (
    ANSWER_S,
    MAX_ASKED,
    MAX_ASKED_PER_MINUTE,
    ClientCapabilities,
)
from xmppd_plugins.caps.verification import (
    CAPS_2,
    DISCO_INFO,
    hash_2,
    verification_string,
    verifies,
)

CAPS = "http://jabber.org/protocol/caps"
IDENTITY = DiscoIdentity("client", "pc", "Balcony")


def ver(*features: str) -> str:
    """The hash of a client with these features."""
    return verification_string(DiscoInfo((IDENTITY,), features))


def presence(ver: str, hash: str = "sha-1", more: str = "") -> str:
    """A presence that says what its client can do."""
    by = f" hash='{hash}'" if hash else ""
    return f"<presence{more}><c xmlns='{CAPS}'{by} node='urn:balcony' ver='{ver}'/></presence>"


def said(features: Iterable[str]) -> str:
    """What a client says of itself."""
    inside = "".join(f"<feature var='{each}'/>" for each in features)
    identity = "<identity category='client' type='pc' name='Balcony'/>"
    return f"<query xmlns='{DISCO_INFO}'>{identity}{inside}</query>"


class CapabilitiesCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            plugins=("disco", "caps"), romeo={"juliet": "both", "nurse@capulet.lit": "both"}
        )
        self.romeo, self.other = self.house.connect("romeo/1", "romeo/2")
        self.romeo.raw()
        self.other.raw()

    @property
    def known(self) -> ClientCapabilities:
        """The plugin's, whose class is another one after each load."""
        offered = self.house.plugins.offers.by_class
        name = ClientCapabilities.__name__
        found: Any = next(each for kind, each in offered.items() if kind.__name__ == name)
        return found  # type: ignore[no-any-return]

    def session(self, resource: str = "1") -> LocalClientSession:
        """Romeo's."""
        found = self.house.server.session_manager.session(
            self.house.jid("romeo").with_resource(resource)
        )
        assert found is not None
        return found

    def wanted(self, resource: str = "1") -> set[str]:
        """What one of Romeo's clients wants to be told of."""
        return set(self.known.wanted(self.session(resource)))

    def question(self, client: Client) -> str:
        """The id of what a client is asked; empty if it is asked nothing."""
        asked = [each for each in client.received() if DISCO_INFO in each]
        return re.findall(r" id='([^']*)'", asked[0])[0] if asked else ""

    def answer(self, client: Client, id: str, *features: str) -> None:
        """Answer what the server has asked."""
        client.send(f"<iq type='result' id='{id}' to='romeo@montague.lit'>{said(features)}</iq>")


class SessionTests(CapabilitiesCase):
    def test_learned(self) -> None:
        """A client is asked once, and all with the same hash want the same."""
        hash = ver("urn:news+notify", "urn:ping")
        self.romeo.send(presence(hash))
        id = self.question(self.romeo)
        self.other.send(presence(hash))
        self.assertEqual(self.question(self.other), "")
        self.assertEqual(self.wanted(), set())
        self.answer(self.romeo, id, "urn:news+notify", "urn:ping")
        self.assertEqual((self.wanted("1"), self.wanted("2")), ({"urn:news"},) * 2)

    def test_name(self) -> None:
        """The name of a client's software is learned with it, outlives the server, and a lie is
        believed of the liar alone.
        """
        hash = ver("urn:ping")
        self.romeo.send(presence(hash))
        self.assertEqual(self.session().agent, "urn:balcony")
        self.answer(self.romeo, self.question(self.romeo), "urn:ping")
        self.assertEqual(self.session().agent, "Balcony")
        self.house = self.house.restarted()
        (romeo, other) = self.house.connect("romeo/1", "romeo/2")
        romeo.raw()
        romeo.send(presence(hash))
        self.assertEqual(self.session().agent, "Balcony")
        self.assertEqual(self.session("2").agent, "")
        other.raw()
        other.send(presence(ver("urn:lies")))
        id = self.question(other)
        name = '"><script>ran()</script>' * 20
        lie = said(["urn:x"]).replace("Balcony", name.replace("<", "&lt;"))
        other.send(f"<iq type='result' id='{id}' to='romeo@montague.lit'>{lie}</iq>")
        self.assertEqual(self.session("2").agent, name[:200])
        romeo.send(presence(ver("urn:lies")))
        self.assertNotIn("script", self.session("1").agent)

    def test_remembered(self) -> None:
        """What was learned outlives the server."""
        hash = ver("urn:news+notify")
        self.romeo.send(presence(hash))
        self.answer(self.romeo, self.question(self.romeo), "urn:news+notify")
        self.house = self.house.restarted()
        (romeo,) = self.house.connect("romeo/1")
        romeo.raw()
        romeo.send(presence(hash))
        self.assertEqual(self.question(romeo), "")
        self.assertEqual(self.wanted(), {"urn:news"})

    def test_lie(self) -> None:
        """What does not make the hash is true of the liar alone, and the next one is asked."""
        hash = ver("urn:news+notify")
        self.romeo.send(presence(hash))
        id = self.question(self.romeo)
        self.other.send(presence(hash))
        self.answer(self.romeo, id, "urn:lies+notify")
        self.assertEqual(self.wanted("1"), {"urn:lies"})
        self.answer(self.other, self.question(self.other), "urn:news+notify")
        self.assertEqual(self.wanted("2"), {"urn:news"})

    def test_forged(self) -> None:
        """Two different answers of one hash cannot be made (EC-3)."""
        hash = ver("urn:news+notify", "urn:ping")
        for features in (
            ("urn:news+notify", "urn:news+notify"),
            ("urn:news+notify&lt;urn:ping",),
        ):
            self.romeo.send(presence(hash))
            self.answer(self.romeo, self.question(self.romeo), *features)
            self.other.send(presence(hash))
            self.assertEqual(self.wanted("2"), set())
            self.romeo.send(presence("x"))
            self.other.send(presence("x"))
            self.romeo.raw()
            self.other.raw()

    def test_forged_name(self) -> None:
        """A name that holds what should be features proves nothing of others (EC-3)."""
        honest = DiscoInfo((DiscoIdentity("client", "pc", "A"),), ("urn:news+notify",))
        name = "A<urn:news+notify"
        forged = DiscoInfo((DiscoIdentity("client", "pc", name),))
        hash = verification_string(honest)
        self.assertEqual(verification_string(forged), hash)
        self.assertTrue(verifies(honest, hash, "sha-1"))
        self.assertFalse(verifies(forged, hash, "sha-1"))

    def test_wavering(self) -> None:
        """One who says again and again that it has an unknown software waits once (EC-3)."""
        hash, another = ver("urn:news+notify"), ver("urn:ping")
        for _ in range(20):
            self.romeo.send(presence(hash))
            self.romeo.send(presence(another))
        self.other.send(presence(hash))
        for _ in range(2):
            self.house.clock.advance(ANSWER_S)
        self.answer(self.other, self.question(self.other), "urn:news+notify")
        self.assertEqual(self.wanted("2"), {"urn:news"})

    def test_silent(self) -> None:
        """A client that does not answer wants nothing, and holds up nobody."""
        hash = ver("urn:news+notify")
        self.romeo.send(presence(hash))
        self.assertNotEqual(self.question(self.romeo), "")
        self.house.clock.advance(ANSWER_S)
        self.other.send(presence(hash))
        self.answer(self.other, self.question(self.other), "urn:news+notify")
        self.assertEqual((self.wanted("1"), self.wanted("2")), (set(), {"urn:news"}))

    def test_legacy(self) -> None:
        """What is no hash is asked of each, and never shared (EC-4)."""
        for client in (self.romeo, self.other):
            client.send(presence("1.0", hash=""))
            self.answer(client, self.question(client), "urn:news+notify")
        self.assertEqual((self.wanted("1"), self.wanted("2")), ({"urn:news"},) * 2)

    def test_changed(self) -> None:
        """Another hash changes what is wanted, a presence without one does not (EC-5)."""
        told: list[tuple[str, set[str]]] = []
        self.known.changed.append(
            lambda session, new: told.append((session.jid.resource or "", set(new)))
        )
        for features in (("urn:news+notify",), ("urn:news+notify", "urn:tune+notify")):
            self.romeo.send(presence(ver(*features)))
            self.answer(self.romeo, self.question(self.romeo), *features)
            self.romeo.send("<presence><show>away</show></presence>")
        self.assertEqual(self.wanted(), {"urn:news", "urn:tune"})
        self.assertEqual(told, [("1", {"urn:news"}), ("1", {"urn:tune"})])

    def test_many(self) -> None:
        """One account causes so many questions a minute, and no more."""
        asked = 0
        for number in range(MAX_ASKED_PER_MINUTE + 10):
            self.romeo.send(presence(f"made up {number}"))
            asked += bool(self.question(self.romeo))
        self.assertEqual(asked, MAX_ASKED_PER_MINUTE)
        self.house.clock.advance(60)
        self.romeo.send(presence("another"))
        self.assertNotEqual(self.question(self.romeo), "")

    def test_others_ask(self) -> None:
        """Somebody's made-up hashes keep nobody else's from being asked."""
        for number in range(MAX_ASKED + 10):
            self.romeo.send(presence(f"made up {number}"))
        (juliet,) = self.house.connect("juliet")
        juliet.send(presence(ver("urn:news+notify")))
        self.assertNotEqual(self.question(juliet), "")

    def test_long(self) -> None:
        """A hash that is longer than any says nothing."""
        self.romeo.send(presence("x" * 1_024))
        self.assertEqual(self.question(self.romeo), "")
        self.romeo.send(presence("x" * 1_023))
        self.assertNotEqual(self.question(self.romeo), "")

    def test_form(self) -> None:
        """A form that does not hide what it is is not hashed, and the rest is."""
        self.romeo.send(presence(ver("urn:news+notify")))
        form = (
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE'>"
            "<value>urn:form</value></field></x>"
        )
        told = said(("urn:news+notify",)).replace("</query>", f"{form}</query>")
        id = self.question(self.romeo)
        self.romeo.send(f"<iq type='result' id='{id}' to='romeo@montague.lit'>{told}</iq>")
        self.other.send(presence(ver("urn:news+notify")))
        self.assertEqual(self.question(self.other), "")
        self.assertEqual(self.wanted("2"), {"urn:news"})

    def test_forgotten(self) -> None:
        """A session that is gone leaves nothing behind."""
        session = self.session()
        self.romeo.send(presence(ver("urn:news+notify")))
        self.answer(self.romeo, self.question(self.romeo), "urn:news+notify")
        self.romeo.abort()
        self.assertEqual(self.known.wanted(session), frozenset())


class SecondTests(CapabilitiesCase):
    """XEP-0390."""

    def presence(self, *features: str, hash: str = "sha-256", also: str = "") -> str:
        """A presence that has the hash of a client with these features."""
        value = hash_2(DiscoInfo((IDENTITY,), features), "sha-256")
        told = f"<hash xmlns='urn:xmpp:hashes:2' algo='{hash}'>{value}</hash>"
        return f"<presence><c xmlns='{CAPS_2}'>{told}</c>{also}</presence>"

    def test_learned(self) -> None:
        """A client is asked for the node of its hash, once for all who have that."""
        self.romeo.send(self.presence("urn:news+notify"))
        (asked,) = [each for each in self.romeo.received() if DISCO_INFO in each]
        value = hash_2(DiscoInfo((IDENTITY,), ("urn:news+notify",)), "sha-256")
        self.assertIn(f"node='{CAPS_2}#sha-256.{value}'", asked)
        self.answer(self.romeo, re.findall(r" id='([^']*)'", asked)[0], "urn:news+notify")
        self.other.send(self.presence("urn:news+notify"))
        self.assertEqual(self.question(self.other), "")
        self.assertEqual((self.wanted("1"), self.wanted("2")), ({"urn:news"},) * 2)

    def test_both(self) -> None:
        """Of both ways the newer one holds, unless its algorithm is not known (EC-1)."""
        older = f"<c xmlns='{CAPS}' hash='sha-1' node='urn:balcony' ver='{ver('urn:ping')}'/>"
        self.romeo.send(self.presence("urn:news+notify", also=older))
        (asked,) = [each for each in self.romeo.received() if DISCO_INFO in each]
        self.assertIn(f"{CAPS_2}#", asked)
        self.other.send(self.presence("urn:news+notify", hash="md5", also=older))
        (asked,) = [each for each in self.other.received() if DISCO_INFO in each]
        self.assertIn(f"urn:balcony#{ver('urn:ping')}", asked)
        self.assertEqual(self.session("2").software, "urn:balcony")

    def test_language(self) -> None:
        """Identities are in the language of the answer, of its stanza, or of the stream (§4.1)."""
        features = ("urn:news+notify",)
        identity = DiscoIdentity("client", "pc", "Balcony", "it")
        value = hash_2(DiscoInfo((identity,), features), "sha-256")
        for number, (of_query, of_iq) in enumerate((("", "it"), ("it", "de"), ("it", ""))):
            algorithm = f"<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{value}</hash>"
            self.romeo.send(f"<presence><c xmlns='{CAPS_2}'>{algorithm}</c></presence>")
            id = self.question(self.romeo)
            told = said(features)
            if of_query:
                told = told.replace("<query ", f"<query xml:lang='{of_query}' ")
            lang = f" xml:lang='{of_iq}'" if of_iq else ""
            answer = f"<iq type='result' id='{id}' to='romeo@montague.lit'{lang}>{told}</iq>"
            self.romeo.send(answer)
            self.other.send(f"<presence><c xmlns='{CAPS_2}'>{algorithm}</c></presence>")
            self.assertEqual(self.question(self.other), "", number)
            self.assertEqual(self.wanted("2"), {"urn:news"})
            self.setUp()

    def test_other_language(self) -> None:
        """A hash of identities in another language than they are in proves nothing."""
        features = ("urn:news+notify",)
        identity = DiscoIdentity("client", "pc", "Balcony", "it")
        value = hash_2(DiscoInfo((identity,), features), "sha-256")
        told = f"<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{value}</hash>"
        presence = f"<presence><c xmlns='{CAPS_2}'>{told}</c></presence>"
        self.romeo.send(presence)
        id = self.question(self.romeo)
        self.romeo.send(
            f"<iq type='result' id='{id}' to='romeo@montague.lit' xml:lang='de'>"
            f"{said(features)}</iq>"
        )
        self.other.send(presence)
        self.assertNotEqual(self.question(self.other), "")

    def test_not_covered(self) -> None:
        """What holds more than a hash covers proves nothing (§4.1)."""
        form = (
            "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
            "<value>urn:form</value></field><reported/></x>"
        )
        for more in ("<more xmlns='urn:more'/>", form, "<x xmlns='jabber:x:data'/>"):
            self.romeo.send(self.presence("urn:news+notify"))
            told = said(("urn:news+notify",)).replace("</query>", f"{more}</query>")
            id = self.question(self.romeo)
            self.romeo.send(f"<iq type='result' id='{id}' to='romeo@montague.lit'>{told}</iq>")
            self.other.send(self.presence("urn:news+notify"))
            self.assertNotEqual(self.question(self.other), "")
            for client in (self.romeo, self.other):
                client.send(presence("x"))
                client.raw()
            self.house.clock.advance(ANSWER_S)


class ElsewhereTests(CapabilitiesCase):
    def setUp(self) -> None:
        super().setUp()
        self.elsewhere = Elsewhere(self.house)
        self.hash = ver("urn:news+notify")

    def come(self, who: str = "nurse@capulet.lit/1") -> None:
        """Somebody elsewhere is available."""
        self.elsewhere.send(presence(self.hash, more=f" from='{who}' to='romeo@montague.lit'"))

    def names(self) -> list[str]:
        """The nurse's resources that want news."""
        return self.known.wanted_elsewhere("nurse@capulet.lit", "urn:news")

    def test_contact(self) -> None:
        """A contact on another server is asked in the name of the account, until it is gone."""
        self.come()
        (asked,) = [each for each in self.elsewhere.heard() if "disco#info" in each]
        id = re.findall(r" id='([^']*)'", asked)[0]
        self.elsewhere.send(
            f"<iq type='result' id='{id}' from='nurse@capulet.lit/1' to='romeo@montague.lit'>"
            f"{said(('urn:news+notify',))}</iq>"
        )
        self.assertEqual(self.names(), ["nurse@capulet.lit/1"])
        self.elsewhere.send(
            "<presence type='unavailable' from='nurse@capulet.lit/1' to='romeo@montague.lit'/>"
        )
        self.assertEqual(self.names(), [])

    def test_stranger(self) -> None:
        """A stranger is not asked: that would tell that there is such an account."""
        self.come("peter@capulet.lit/1")
        heard = "".join(self.elsewhere.heard())
        self.assertNotIn("disco#info", heard)
