"""Streams, from the header to the goodbye: what is answered, and every way to be thrown out."""

import re
from base64 import b64encode
from typing import TypeVar
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore
from xmppd.config.config import Config
from xmppd.events import OWNER
from xmppd.net.connection_handler import ALL_PREPARING_US_BURST, PREPARING_US_BURST
from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import JID, Message, Stanza, StreamCondition, StreamError, jid, ns, stanza
from xmppd.stanza.jid import effort
from xmppd.stream.stanza_intake import stream_error_in
from xmppd.stream.starttls import starttls_feature
from xmppd.testing.client import Client, done
from xmppd.testing.house import PASSWORD, House, house_config

S = TypeVar("S", bound=Stanza)
HEADER = (
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    " to='montague.lit' version='1.0'>"
)


class StreamCase(SynchronousTestCase):
    """With a house, and words for what a stream was told."""

    def setUp(self) -> None:
        self.house = House(romeo={}, juliet={})

    def error_of(self, client: Client) -> str:
        """The condition of the stream error that the client got; it must be its last words."""
        data = client.raw().decode()
        _, found, error = data.partition("<stream:error>")
        self.assertTrue(found, f"no stream error in {data!r}")
        self.assertTrue(error.endswith("</stream:error></stream:stream>"), data)
        return error.split("<", 2)[1].split()[0]

    def told(self, *sent: str, bind: bool = False) -> str:
        """The stream error that this brings upon somebody new, or bound."""
        client = self.house.bind("romeo") if bind else self.house.unauthenticated()
        for text in sent:
            client.send(text)
        return self.error_of(client)


class HeaderTests(StreamCase):
    """The stream header (RFC 6120 §4.7)."""

    def test_answer(self) -> None:
        """A client that opens a stream gets a header with an id, our name, and features."""
        client = self.house.unauthenticated()
        client.send(HEADER)
        answer = client.raw().decode()
        self.assertIn("from='montague.lit'", answer)
        self.assertRegex(answer, " id='[0-9a-f]{16}'")
        self.assertIn("version='1.0'", answer)
        self.assertIn("<mechanism>SCRAM-SHA-256</mechanism>", answer)
        self.assertTrue(answer.endswith("</stream:features>"))

    def test_domain_is_prepared(self) -> None:
        """The domain is the same in capitals."""
        client = self.house.unauthenticated()
        client.send(HEADER.replace("montague.lit", "MONTAGUE.lit"))
        self.assertIn("<stream:features>", client.raw().decode())

    def test_second_domain(self) -> None:
        """Each domain served answers under its own name."""
        config = house_config("montague.lit", "c.lit")
        client = House(config=config).unauthenticated()
        client.open("c.lit")
        self.assertIn("from='c.lit'", client.raw().decode())

    def test_host_unknown(self) -> None:
        """Whoever wants another server is told that this is not it; a header without ``to`` too."""
        self.assertEqual(self.told(HEADER.replace("montague", "capulet")), "host-unknown")
        self.assertEqual(self.told(HEADER.replace(" to='montague.lit'", "")), "host-unknown")
        self.assertEqual(self.told(HEADER.replace("montague.lit", "a..b")), "host-unknown")

    def test_part_of_our_name(self) -> None:
        """notmontague.lit and lit are not montague.lit (RT-9)."""
        for domain in ("notmontague.lit", "lit", "montague.lit.example"):
            header = HEADER.replace("montague.lit", domain)
            self.assertEqual(self.told(header), "host-unknown")

    def test_invalid_namespace(self) -> None:
        """A stream of another namespace, or with other content, is refused."""
        wrong = HEADER.replace("http://etherx.jabber.org/streams", "urn:x")
        self.assertEqual(self.told(wrong), "invalid-namespace")
        self.assertEqual(self.told(HEADER.replace("jabber:client", "jabber:server")),
                         "invalid-namespace")  # fmt: skip

    def test_stanzas_declare_the_content_namespace(self) -> None:
        """A header may leave it to the stanzas (SC-2); one that does not say it is none."""
        juliet = self.house.bind("juliet")
        streams = "http://etherx.jabber.org/streams"
        for header in (
            f"<stream xmlns='{streams}' to='montague.lit' version='1.0'>",
            f"<stream:stream xmlns:stream='{streams}' to='montague.lit' version='1.0'>",
        ):
            romeo = self.house.unauthenticated()
            romeo.send(header)
            romeo.stanza_handler.authenticated(self.house.jid("romeo"))
            romeo.handler.restart()
            bind = f"<bind xmlns='{ns.BIND}'><resource>1</resource></bind>"
            romeo.send(f"{header}<iq xmlns='jabber:client' type='set' id='b'>{bind}</iq>")
            self.assertIn(b"romeo@montague.lit/1", romeo.raw())
            romeo.send(
                "<message xmlns='jabber:client' to='juliet@montague.lit/1'><body>O</body></message>"
            )
            (message,) = juliet.received()
            self.assertIn("<body>O</body>", message)
            romeo.send("<message to='juliet@montague.lit/1'><body>O</body></message>")
            self.assertEqual(self.error_of(romeo), "unsupported-stanza-type")

    def test_bad_format(self) -> None:
        """What begins with something else than a stream is no stream."""
        self.assertEqual(self.told("<html xmlns='jabber:client'>"), "bad-format")
        self.assertEqual(self.told(HEADER, "just text"), "bad-format")

    def test_unsupported_version(self) -> None:
        """A client of before RFC 3920 is told that it is too old."""
        self.assertEqual(self.told(HEADER.replace(" version='1.0'", "")), "unsupported-version")
        self.assertEqual(self.told(HEADER.replace("'1.0'", "'0.9'")), "unsupported-version")
        self.assertEqual(self.told(HEADER.replace("'1.0'", "'x'")), "unsupported-version")

    def test_endless_version(self) -> None:
        """A version may be longer than any number that Python reads."""
        header = HEADER.replace("1.0", "9" * 5_000)
        client = self.house.unauthenticated()
        client.send(header)
        self.assertIn("<stream:features>", client.raw().decode())
        self.assertEqual(self.told(HEADER.replace("1.0", "0" * 5_000)), "unsupported-version")

    def test_newer_version(self) -> None:
        """A client of the future is answered with the version we speak."""
        client = self.house.unauthenticated()
        client.send(HEADER.replace("'1.0'", "'1.7'"))
        self.assertIn(" version='1.0'", client.raw().decode())

    def test_unsupported_encoding(self) -> None:
        """Only UTF-8 is spoken."""
        self.assertEqual(
            self.told("<?xml version='1.0' encoding='ISO-8859-1'?>" + HEADER),
            "unsupported-encoding",
        )

    def test_header_comes_first(self) -> None:
        """Even who is refused at once gets a header first, so that the error can be read."""
        client = self.house.unauthenticated()
        client.send("<html>")
        self.assertTrue(client.raw().startswith(b"<?xml version='1.0'?><stream:stream "))

    def test_bad_namespace_prefix(self) -> None:
        """A header that uses a prefix it did not declare is refused."""
        self.assertEqual(
            self.told(HEADER.replace("<stream:stream", "<x:stream")), "bad-namespace-prefix"
        )


class XMLTests(StreamCase):
    """What XMPP forbids of XML (RFC 6120 §11)."""

    def test_restricted_xml(self) -> None:
        """Comments, processing instructions, DTDs and entities end the stream."""
        for text in ("<!-- psst -->", "<?php?>", "<message><body>&love;</body></message>"):
            self.assertEqual(self.told(text, bind=True), "restricted-xml", text)
        self.assertEqual(self.told("<!DOCTYPE s>" + HEADER), "restricted-xml")

    def test_not_well_formed(self) -> None:
        """Tags that do not match end the stream."""
        self.assertEqual(self.told("<message></iq>", bind=True), "not-well-formed")

    def test_too_big_for_a_stranger(self) -> None:
        """Somebody who has not logged in may not send much (10 KiB by default)."""
        self.assertEqual(self.told(HEADER, f"<auth>{'a' * 10_300}</auth>"), "policy-violation")

    def test_too_big_for_a_friend(self) -> None:
        """A user may send more, but not everything (256 KiB by default)."""
        romeo = self.house.bind("romeo")
        romeo.send(f"<message to='juliet@montague.lit'><body>{'a' * 200_000}</body></message>")
        self.assertFalse(romeo.closed)
        romeo.send(f"<message to='juliet@montague.lit'><body>{'a' * 300_000}</body></message>")
        self.assertEqual(self.error_of(romeo), "policy-violation")

    def test_large_attribute(self) -> None:
        """A friend's tag may be as large as a stanza: a picture in an attribute, say."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        romeo.send("<message to='juliet@montague.lit'><x xmlns='urn:x'>" + f"<y z='{'a' * 40_000}'")
        romeo.send("/></x></message>")
        (message,) = juliet.received()
        self.assertIn("a" * 40_000, message)

    def test_large_attribute_of_a_stranger(self) -> None:
        """Also a stranger may use all that it is told, and no more, for one tag."""
        mechanism = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN' a='{}'/>"
        room = 10_240 - len(mechanism) + 2
        client = self.house.unauthenticated()
        client.send(HEADER + mechanism.format("a" * room))
        self.assertFalse(client.closed)
        self.assertEqual(self.told(HEADER, mechanism.format("a" * (room + 1))), "policy-violation")

    def test_written_anew(self) -> None:
        """What a few prefixes say in few bytes, and that would be written in many, comes back."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        for start, inside in (
            ("<c:message xmlns:c='jabber:client' xmlns:x='{}'", "<x:y/>"),
            ("<message xmlns='jabber:client' xmlns:x='{}'", "<y x:z=''/>"),
        ):
            head = start.format("u" * 1_000) + " to='juliet@montague.lit' id='7'>"
            end = f"</{head[1:].split()[0]}>"
            romeo.send(head + inside * 5 + end)
            self.assertIn("u" * 1_000, juliet.received()[0])
            romeo.send(head + inside * 20_000 + end)
            (answer,) = romeo.received()
            self.assertIn("<policy-violation", answer)
            self.assertIn("id='7'", answer)
            self.assertEqual(juliet.received(), [])
        self.assertFalse(romeo.closed)

    def test_prefixes_go_on(self) -> None:
        """What declares its own prefixes goes on with them, however it spells addresses."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        inside = "<x:x xmlns:x='urn:x' x:type='x:y'><x:z/></x:x>"
        for head in ("to='juliet@montague.lit'", "to='JULIET@montague.lit'",
                     "from='romeo@montague.lit/1' to='juliet@MONTAGUE.lit'"):  # fmt: skip
            romeo.send(f"<message {head}>{inside}</message>")
            self.assertIn(inside, juliet.raw().decode())

    def test_too_deep(self) -> None:
        """Elements inside elements inside elements end somewhere."""
        self.assertEqual(self.told("<message>" + "<a>" * 100, bind=True), "policy-violation")


class NegotiationTests(StreamCase):
    """What may come before a resource is bound."""

    def test_stanzas_of_strangers(self) -> None:
        """Nobody sends stanzas before logging in, nor before binding."""
        for text in ("<presence/>", "<message to='juliet@montague.lit'/>",
                     "<iq type='get' id='1'><query xmlns='jabber:iq:roster'/></iq>"):  # fmt: skip
            self.assertEqual(self.told(HEADER, text), "not-authorized", text)
            romeo = self.house.logged_in("romeo")
            romeo.send(text)
            self.assertIn("<not-authorized", romeo.raw().decode())
            self.assertTrue(romeo.closed)

    def test_bind_of_strangers(self) -> None:
        """A resource is for whoever has logged in."""
        client = self.house.unauthenticated()
        client.send(HEADER)
        client.raw()
        client.send(f"<iq type='set' id='1'><bind xmlns='{ns.BIND}'/></iq>")
        self.assertIn("<not-authorized", client.raw().decode())

    def test_lxml_is_for_friends(self) -> None:
        """Nothing that a stranger sends is read by another parser than expat."""

        def refuse(data: bytes) -> None:
            self.fail(f"lxml was given {data!r}")

        self.patch(stanza, "parse", refuse)
        house = House(plugins=Config().plugins.load)
        queries = (
            "<query xmlns='jabber:iq:register'/>",
            (
                "<query xmlns='jabber:iq:register'><username>a</username><password>b</password>"
                "<x xmlns='jabber:x:data' type='submit'/></query>"
            ),
            f"<bind xmlns='{ns.BIND}'/>",
        )
        for query in queries:
            for kind in ("get", "set", "result", "error"):
                client = house.unauthenticated()
                client.send(HEADER)
                client.send(f"<iq type='{kind}' id='1'>{query}</iq>")
                self.assertFalse(client.closed)

    def test_bind(self) -> None:
        """Whoever has logged in gets the resource it asks for, and the answer names it (BI-6)."""
        romeo = self.house.logged_in("romeo")
        romeo.send(
            f"<iq type='set' id='1'><bind xmlns='{ns.BIND}'><resource>orchard</resource></bind>"
            "</iq>"
        )
        self.assertEqual(
            romeo.received(),
            [
                (
                    "<iq from='romeo@montague.lit' to='romeo@montague.lit/orchard' type='result'"
                    f" id='1'><bind xmlns='{ns.BIND}'><jid>romeo@montague.lit/orchard</jid>"
                    "</bind></iq>"
                )
            ],
        )

    def test_unsupported_stanza_type(self) -> None:
        """An element nobody knows ends the stream."""
        self.assertEqual(self.told("<telegram/>", bind=True), "unsupported-stanza-type")

    def test_feature_out_of_turn(self) -> None:
        """What the stream does not offer just now cannot be asked for."""
        auth = f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'/>"
        self.assertEqual(self.told(auth, bind=True), "not-authorized")

    def test_invalid_from(self) -> None:
        """A client may say who it is, never that it is somebody else (SI-6)."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        for own in ("romeo@montague.lit", "romeo@montague.lit/1"):
            romeo.send(f"<message from='{own}' to='juliet@montague.lit'><body>x</body></message>")
            self.assertIn("from='romeo@montague.lit/1'", juliet.received()[0])
        romeo.send("<message from='tybalt@montague.lit' to='juliet@montague.lit'/>")
        self.assertEqual(self.error_of(romeo), "invalid-from")
        self.assertEqual([x for x in juliet.received() if x.startswith("<message")], [])

    def test_malformed_to(self) -> None:
        """An address that is none comes back as jid-malformed, and the stream goes on (SI-2)."""
        romeo = self.house.bind("romeo")
        for address in ("a..b", "@montague.lit", "x" * 3_100, "romeo@montague.lit/"):
            romeo.send(f"<message to='{address}' id='7'><body>x</body></message>")
            answer = romeo.received()[0]
            self.assertIn("<jid-malformed", answer)
            self.assertIn("id='7'", answer)
        self.assertFalse(romeo.closed)

    def test_odd_spelling(self) -> None:
        """An address may be spelled in any way; whoever gets it reads it in the usual one."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        for spelled in ("JULIET@Montague.LIT/1", "&#x6a;uliet@montague.lit/&#49;"):
            romeo.send(f"<message\n to = '{spelled}' id=\" to='x'\"><body>x</body></message>")
            (message,) = juliet.received()
            self.assertEqual(message.count("juliet@montague.lit/1"), 1)
            self.assertIn("id=' to=&apos;x&apos;'", message)

    def test_malformed_to_of_an_error(self) -> None:
        """An error is never answered, not even to say that its address is none."""
        romeo = self.house.bind("romeo")
        romeo.send("<message to='a..b' type='error'/><iq to='a..b' type='result' id='1'/>")
        self.assertEqual(romeo.received(), [])


class Slow(PacketInterceptor):
    """Takes four milliseconds for a message."""

    incoming_kinds = (Message,)

    def __init__(self, house: House) -> None:
        self.clock = house.clock

    def incoming(self, stanza: S, session: JID) -> S:
        self.clock.rightNow += 0.004
        return stanza


class LimitTests(StreamCase):
    """Time and numbers."""

    def test_negotiation_timeout(self) -> None:
        """Who does not log in within a minute is sent away (connection-timeout)."""
        client = self.house.unauthenticated()
        client.send(HEADER)
        self.turn(80)
        self.assertEqual(self.error_of(client), "connection-timeout")

    def test_silent_stranger(self) -> None:
        """Who does not even say hello is sent away too."""
        client = self.house.unauthenticated()
        self.turn(80)
        self.assertEqual(self.error_of(client), "connection-timeout")

    def turn(self, seconds: int) -> None:
        """Let time go by."""
        self.house.clock.pump([1.0] * seconds)

    def test_idle_is_pinged(self) -> None:
        """A silent client is asked whether it is there; even a space is an answer (CH-4)."""
        romeo = self.house.bind("romeo")
        self.turn(330)
        self.assertIn("<ping", romeo.raw().decode())
        romeo.send(" ")
        self.turn(200)
        self.assertFalse(romeo.closed)
        self.assertEqual(romeo.raw(), b"")

    def test_dead_is_closed(self) -> None:
        """A client that does not answer is gone, and its friends hear of it."""
        house = House(romeo={"juliet": "both"}, juliet={"romeo": "both"})
        romeo, juliet = house.connect("romeo", "juliet")
        for _ in range(420):
            house.clock.advance(1)
            juliet.send(" ")
        self.assertIn("<connection-timeout", romeo.raw().decode())
        self.assertIn("type='unavailable'", juliet.received()[-1])

    def test_streams_per_address(self) -> None:
        """One address cannot take all the places; others still come in."""
        house = House(config=house_config("montague.lit", stream={"max_streams_per_address": 2}))
        connections = [house.unauthenticated() for _ in range(3)]
        for client in connections:
            client.send(HEADER)
        self.assertEqual(self.error_of(connections[2]), "policy-violation")
        other = house.unauthenticated("192.0.2.2")
        other.send(HEADER)
        self.assertIn("<stream:features>", other.raw().decode())
        connections[0].abort()
        again = house.unauthenticated()
        again.send(HEADER)
        self.assertIn("<stream:features>", again.raw().decode())

    def test_strangers_are_limited(self) -> None:
        """There is only so much room for people who have not logged in (resource-constraint)."""
        house = House(config=house_config("montague.lit", stream={"max_unauthenticated": 2}))
        connections = [house.unauthenticated(f"192.0.2.{n}") for n in range(3)]
        for client in connections[1:]:
            client.send(HEADER)
        late = house.unauthenticated("192.0.2.4")
        late.send(HEADER)
        self.assertEqual(self.error_of(late), "resource-constraint")
        self.assertTrue(late.transport.lost)  # at once: there is no room to wait for its goodbye

    def test_silence_gives_way(self) -> None:
        """Connections that say nothing keep nobody out: the longest silent one makes room."""
        house = House(config=house_config("montague.lit", stream={"max_unauthenticated": 3}))
        connections = [house.unauthenticated() for _ in range(3)]
        connections[0].send(HEADER)
        newcomer = house.unauthenticated("192.0.2.2")
        newcomer.send(HEADER)
        self.assertIn("<stream:features>", newcomer.raw().decode())
        self.assertEqual([client.transport.lost for client in connections], [False, True, False])

    def test_friends_are_no_strangers(self) -> None:
        """Who has logged in takes no place of those who have not, from that moment on."""
        config = house_config("montague.lit", stream={"max_unauthenticated": 2})
        house = House(config=config, romeo={}, juliet={})
        house.bind("romeo")
        house.bind("juliet")
        connections = [house.unauthenticated(f"192.0.2.{n}") for n in range(2)]
        for client in connections:
            client.send(HEADER)
            self.assertIn("<stream:features>", client.raw().decode())

    def test_flood_is_slowed_down(self) -> None:
        """Who sends faster than allowed is read more slowly, and loses nothing."""
        config = house_config("montague.lit", stream={"stanzas_per_s": 10.0, "stanzas_burst": 20})
        house = House(config=config, romeo={}, juliet={})
        romeo, juliet = house.connect("romeo", "juliet")
        romeo.send("<message to='juliet@montague.lit'><body>x</body></message>" * 50)
        self.assertEqual(romeo.transport.producerState, "paused")
        self.assertEqual(len(juliet.received()), 16)  # the burst, without what login took
        house.clock.pump([0.1] * 40)
        self.assertEqual(romeo.transport.producerState, "producing")
        self.assertEqual(len(juliet.received()), 34)

    def test_flood_behind_a_stanza_that_waits(self) -> None:
        """What has piled up while the server waited for its store counts as well."""
        store = SlowStore()
        config = house_config("montague.lit", stream={"stanzas_per_s": 10.0, "stanzas_burst": 20})
        house = House(config=config, store=store, romeo={}, juliet={}, nurse={})
        romeo, juliet = house.connect("romeo", "juliet")
        store.slow = True
        romeo.send(
            "<message to='nurse@montague.lit'><body>later</body></message>"
            + "<message to='juliet@montague.lit'><body>x</body></message>" * 50
        )
        self.assertEqual(juliet.received(), [])
        store.release_all()
        self.assertEqual(len(juliet.received()), 15)
        house.clock.pump([0.1] * 40)
        self.assertEqual(len(juliet.received()), 35)

    def test_dear_addresses(self) -> None:
        """Who names addresses that take long to prepare is read more slowly (CH-7)."""
        house = House(romeo={}, juliet={})
        romeo, juliet = house.connect("romeo", "juliet")
        letters = ["".join(chr(0xAC00 + 300 * n + i) for i in range(300)) for n in range(30)]
        jid._interned.clear()
        spent_us = effort.spent_us
        for resource in letters:
            romeo.send(f"<message to='juliet@montague.lit/{resource}' type='headline'/>")
        romeo.send("<message to='juliet@montague.lit'><body>x</body></message>")
        self.assertEqual(romeo.transport.producerState, "paused")
        self.assertLess(effort.spent_us - spent_us, PREPARING_US_BURST + 1_000)
        self.assertEqual(juliet.received(), [])
        house.clock.pump([0.01] * 60)
        self.assertEqual(len(juliet.received()), 1)
        self.assertEqual(romeo.transport.producerState, "producing")

    def test_many_with_dear_addresses(self) -> None:
        """Many who do so have a limit together, so that the server has time for all others."""
        house = House(romeo={}, juliet={})
        connections = [house.bind("romeo", str(number)) for number in range(10)]
        (juliet,) = house.connect("juliet")
        jid._interned.clear()
        spent_us = effort.spent_us
        for number in range(200):
            resource = "".join(chr(0xAC00 + 55 * number + i) for i in range(300))
            connections[number % 10].send(f"<message to='juliet@montague.lit/{resource}'/>")
        self.assertLess(effort.spent_us - spent_us, ALL_PREPARING_US_BURST + 10 * 1_000)
        juliet.send("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.assertIn("id='p'", juliet.received()[-1])
        house.clock.pump([0.01] * 100)
        self.assertEqual(
            [client.transport.producerState for client in connections], ["producing"] * 10
        )
        self.assertGreater(effort.spent_us - spent_us, 200 * 900 - 1)

    def test_others_have_their_turn(self) -> None:
        """Stanzas that came at once and are a lot of work do not keep everybody else waiting."""
        house = House(romeo={}, juliet={})
        romeo, juliet = house.connect("romeo", "juliet")
        house.server.interceptors.put(Slow(house), OWNER)
        romeo.send("<message to='juliet@montague.lit'><body>x</body></message>" * 10)
        self.assertEqual(romeo.transport.producerState, "paused")
        self.assertEqual(len(juliet.received()), 3)
        house.clock.pump([0.0] * 10)
        self.assertEqual(romeo.transport.producerState, "producing")
        self.assertEqual(len(juliet.received()), 7)

    def test_bytes_are_slowed_down(self) -> None:
        """The same for bytes, in whatever pieces they come."""
        config = house_config("montague.lit", stream={"bytes_per_s": 1_000, "bytes_burst": 2_000})
        house = House(config=config, romeo={})
        romeo = house.bind("romeo")
        romeo.send(" " * 3_500)
        self.assertEqual(romeo.transport.producerState, "paused")
        house.clock.advance(1)
        self.assertEqual(romeo.transport.producerState, "paused")
        house.clock.advance(2)
        self.assertEqual(romeo.transport.producerState, "producing")


class CloseTests(StreamCase):
    """The end of a stream (RFC 6120 §4.4)."""

    def test_client_closes(self) -> None:
        """Who closes its stream gets ours closed, and the connection with it."""
        romeo = self.house.bind("romeo")
        romeo.send("</stream:stream>")
        self.assertEqual(romeo.raw(), b"</stream:stream>")
        self.assertTrue(romeo.transport.lost)

    def test_we_close(self) -> None:
        """We wait for the client to close its side, for as long as is decent."""
        romeo, juliet = self.house.bind("romeo"), self.house.bind("juliet")
        for client in (romeo, juliet):
            client.handler.close()
            self.assertEqual(client.raw(), b"</stream:stream>")
            self.assertFalse(client.transport.ended)
        romeo.send("<presence/></stream:stream>")
        self.assertTrue(romeo.transport.lost)
        self.house.clock.advance(4.9)
        self.assertFalse(juliet.transport.lost)
        self.house.clock.advance(0.1)
        self.assertTrue(juliet.transport.lost)

    def test_we_close_with_an_error(self) -> None:
        """After an error our half is closed at once, and the client has a second (CH-10)."""
        romeo, juliet = self.house.bind("romeo"), self.house.bind("juliet")
        for client in (romeo, juliet):
            client.handler.close(StreamError(StreamCondition.RESET))
            self.assertEqual(self.error_of(client), "reset")
            self.assertEqual((client.transport.ended, client.transport.lost), (True, False))
        romeo.send("<presence/></stream:stream>")
        self.assertTrue(romeo.transport.lost)
        self.house.clock.advance(0.9)
        self.assertFalse(juliet.transport.lost)
        self.house.clock.advance(0.1)
        self.assertTrue(juliet.transport.lost)

    def test_last_words_are_bounded(self) -> None:
        """Who goes on talking behind the end is not listened to for long."""
        for error, most in ((StreamError(StreamCondition.RESET), 65_536), (None, 262_144)):
            romeo = self.house.bind("romeo", f"{most}")
            romeo.handler.close(error)
            romeo.send("x" * most)
            self.assertFalse(romeo.transport.lost)
            romeo.send("x")
            self.assertTrue(romeo.transport.lost)

    def test_talking_wins_no_time(self) -> None:
        """Who neither reads our last words nor falls silent is gone in time all the same."""
        romeo = self.house.bind("romeo")
        romeo.transport.loseConnection = lambda: None  # type: ignore[method-assign]  # as if it did not read
        romeo.handler.close(StreamError(StreamCondition.RESET))
        for _ in range(3):
            romeo.send("</stream:stream>")
            self.assertFalse(romeo.transport.lost)
            self.house.clock.advance(0.4)
        self.assertTrue(romeo.transport.lost)

    def test_shutdown(self) -> None:
        """When the server stops, everybody is told (BOOT-4)."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        stopping = self.house.stop()
        for client in (romeo, juliet):
            self.assertEqual(self.error_of(client), "system-shutdown")
            client.send("</stream:stream>")
        done(stopping)

    def test_stream_error_of_the_client(self) -> None:
        """A client that says what is wrong with us is let go, without an argument."""
        romeo = self.house.bind("romeo")
        romeo.send(f"<stream:error><policy-violation xmlns='{ns.STREAM_ERRORS}'/></stream:error>")
        self.assertEqual(romeo.raw(), b"</stream:stream>")

    def test_all_stream_errors_are_understood(self) -> None:
        """Whatever condition a peer names, the log names it too; an unknown one is undefined."""
        for condition in StreamCondition:
            tree = ElementTree.fromstring(
                f"<e><text xmlns='{ns.STREAM_ERRORS}'>x</text>"
                f"<{condition.value} xmlns='{ns.STREAM_ERRORS}'/></e>"
            )
            self.assertEqual(stream_error_in(tree), condition.value)
        self.assertEqual(stream_error_in(ElementTree.fromstring("<e><x/></e>")),
                         "undefined-condition")  # fmt: skip

    def test_conflict(self) -> None:
        """Who takes a resource that is held sends its holder away (BI-5)."""
        first = self.house.bind("romeo", "orchard")
        self.house.bind("romeo", "orchard")
        self.assertEqual(self.error_of(first), "conflict")

    def test_our_own_bug(self) -> None:
        """If we are at fault, the client hears so, and nobody else does."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        romeo.stanza_handler.handle = lambda event: 1 / 0  # type: ignore[assignment,return-value,method-assign]
        romeo.send("<presence/>")
        self.assertEqual(self.error_of(romeo), "internal-server-error")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        juliet.send("<presence/>")
        self.assertFalse(juliet.closed)


class LanguageTests(StreamCase):
    """``xml:lang`` of the stream is that of its stanzas (RFC 6120 §4.7.4)."""

    def test_stamped(self) -> None:
        """A stanza that does not say its language has its stream's."""
        (juliet,) = self.house.connect("juliet")
        romeo = self.house.logged_in("romeo")
        romeo.handler.restart()
        romeo.send(HEADER.replace(">", " xml:lang='it'>"))
        romeo.send(f"<iq type='set' id='1'><bind xmlns='{ns.BIND}'/></iq>")
        romeo.send("<message to='juliet@montague.lit'><body>ciao</body></message>")
        romeo.send("<message to='juliet@montague.lit' xml:lang='en'><body>hi</body></message>")
        first, second = juliet.received()
        self.assertIn(" xml:lang='it'", first)
        self.assertIn(" xml:lang='en'", second)
        self.assertNotIn("'it'", second)

    def test_no_language(self) -> None:
        """What is too long to be a language is not multiplied by putting it on every stanza."""
        for length, stamped in ((35, True), (36, False)):
            client = self.house.logged_in("romeo")
            client.handler.restart()
            client.send(HEADER.replace(">", f" xml:lang='{'i' * length}'>"))
            client.send(f"<iq type='set' id='1'><bind xmlns='{ns.BIND}'/></iq><presence/>")
            client.raw()
            client.send("<message to='romeo@montague.lit'><body>ciao</body></message>")
            self.assertIs(" xml:lang='iii" in client.received()[-1], stamped)


class SASLTests(StreamCase):
    """Logging in, as the client sees it (RFC 6120 §6)."""

    def setUp(self) -> None:
        super().setUp()
        done(self.house.server.passwords.create("mercutio@montague.lit", PASSWORD))

    def auth(self, text: str, mechanism: str = "PLAIN") -> str:
        """An ``<auth/>`` with this message."""
        message = b64encode(text.encode()).decode() or "="
        return f"<auth xmlns='{ns.SASL}' mechanism='{mechanism}'>{message}</auth>"

    def opened(self) -> Client:
        """Somebody with an open stream."""
        client = self.house.unauthenticated()
        client.send(HEADER)
        client.raw()
        return client

    def test_plain(self) -> None:
        """The right password is a success, and the next header brings what comes after."""
        client = self.opened()
        client.send(self.auth(f"\0mercutio\0{PASSWORD}"))
        self.assertEqual(client.raw(), f"<success xmlns='{ns.SASL}'></success>".encode())
        client.send(HEADER)
        features = client.raw().decode()
        self.assertIn(f"<bind xmlns='{ns.BIND}'/>", features)
        self.assertNotIn("<mechanism", features)

    def test_pipelined(self) -> None:
        """A client that does not wait for our answers is served all the same."""
        client = self.house.unauthenticated()
        client.send(
            HEADER + self.auth(f"\0mercutio\0{PASSWORD}") + "<?xml version='1.0'?>" + HEADER
            + f"<iq type='set' id='1'><bind xmlns='{ns.BIND}'/></iq>"
        )  # fmt: skip
        self.assertIn("<jid>mercutio@montague.lit/", client.raw().decode())

    def test_wrong_password(self) -> None:
        """A wrong password is not-authorized; the third closes the stream (policy-violation)."""
        client = self.opened()
        for _ in range(3):
            client.send(self.auth("\0mercutio\0no"))
            self.house.clock.advance(30)
        failures = client.raw().decode()
        self.assertEqual(failures.count("<not-authorized/>"), 3)
        self.assertIn("<policy-violation", failures)

    def test_no_initial_response(self) -> None:
        """Who sends no first message is asked for it."""
        client = self.opened()
        client.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'/>")
        self.assertEqual(client.raw(), f"<challenge xmlns='{ns.SASL}'/>".encode())
        message = b64encode(f"\0mercutio\0{PASSWORD}".encode()).decode()
        client.send(f"<response xmlns='{ns.SASL}'>{message}</response>")
        self.assertIn("<success", client.raw().decode())

    def test_refusals(self) -> None:
        """Each mistake has a name of its own, and the stream goes on."""
        client = self.opened()
        client.send(f"<auth xmlns='{ns.SASL}' mechanism='GSSAPI'>=</auth>")
        self.assertIn("<invalid-mechanism/>", client.raw().decode())
        client.send(f"<auth xmlns='{ns.SASL}' mechanism='PLAIN'>!!!</auth>")
        self.assertIn("<incorrect-encoding/>", client.raw().decode())
        client = self.opened()
        client.send(f"<response xmlns='{ns.SASL}'>=</response>")
        self.assertIn("<malformed-request/>", client.raw().decode())
        client.send(f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-1'/>")
        client.raw()
        client.send(f"<abort xmlns='{ns.SASL}'/>")
        self.assertIn("<aborted/>", client.raw().decode())
        self.assertFalse(client.closed)

    def test_passwords_need_tls(self) -> None:
        """Where TLS is required, nothing about passwords is offered or taken before it is on."""
        house = House(config=house_config("montague.lit", tls={"required": True}))
        client = house.unauthenticated()
        client.send(HEADER)
        self.assertNotIn("<mechanism", client.raw().decode())
        client.send(self.auth(f"\0mercutio\0{PASSWORD}"))
        self.assertEqual(self.error_of(client), "not-authorized")


class StreamIdTests(StreamCase):
    """Each stream has an id of its own, also on the same connection (SH-3, SH-4)."""

    def test_after_login(self) -> None:
        """The stream that follows a login is another one."""
        client = self.house.unauthenticated()
        client.send(HEADER)
        first = re.findall(r" id='(\w+)'", client.raw().decode())
        client.stanza_handler.authenticated(self.house.jid("romeo"))
        client.stanza_handler.restart()
        client.send(HEADER)
        second = re.findall(r" id='(\w+)'", client.raw().decode())
        self.assertEqual((len(first), len(second)), (1, 1))
        self.assertNotEqual(first, second)

    def test_addressed(self) -> None:
        """A client that says who it is is addressed in our header (RFC 6120 §4.7.2)."""
        client = self.house.unauthenticated()
        client.send(HEADER.replace(" to=", " from='Romeo@montague.lit' to="))
        self.assertIn(" to='romeo@montague.lit' version='1.0'", client.raw().decode())

    def test_addressed_to_nobody(self) -> None:
        """What is no address is not repeated."""
        client = self.house.unauthenticated()
        client.send(HEADER.replace(" to=", " from='a..b' to="))
        self.assertNotIn("a..b", client.raw().decode())

    def test_tls_at_once(self) -> None:
        """Who begins with TLS where it is to be asked for is told so."""
        client = self.house.unauthenticated()
        client.send(b"\x16\x03\x01\x02\x00\x01")
        self.assertIn("expects &lt;starttls/&gt; first", client.raw().decode())


class DoorTests(StreamCase):
    """What a stream offers depends on its door."""

    def test_without_tls(self) -> None:
        """A door without TLS does not offer it, whatever certificates there are, nor take it."""
        self.house.server.stream_features.put(starttls_feature(required=False), OWNER)
        client = self.house.unauthenticated()
        client.send(HEADER)
        self.assertNotIn("starttls", client.raw().decode())
        client.send(f"<starttls xmlns='{ns.TLS}'/>")
        self.assertEqual(self.error_of(client), "not-authorized")
