"""The stream of a component: who is let in, and what it may say."""

import re
from hashlib import sha1

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing.client import ComponentClient
from xmppd.testing.house import House, house_config

ECHO, SECRET = "echo.montague.lit", "wherefore"
STREAM = "http://etherx.jabber.org/streams"
HEADER = (
    f"<stream:stream xmlns='jabber:component:accept' xmlns:stream='{STREAM}' "
    f"to='echo.montague.lit'>"
)


def component_house(**more: object) -> House:
    """A house with people and one component that may connect."""
    config = house_config("montague.lit", component=[{"name": ECHO, "secret": SECRET, **more}])
    return House(config=config, plugins=("disco", "ping"), romeo={}, juliet={})


class ComponentCase(SynchronousTestCase):
    """A house, and what a component is told in it."""

    def setUp(self) -> None:
        self.house = component_house()

    def error_of(self, service: ComponentClient) -> str:
        """The condition of the stream error that came; the stream is over."""
        data = service.raw().decode()
        self.assertTrue(data.endswith("</stream:stream>"), data)
        found = re.search(r"<stream:error><([\w-]+) ", data)
        assert found is not None, data
        return found[1]


class HandshakeTests(ComponentCase):
    """From the header to the handshake (CO-1, CO-2)."""

    def test_let_in(self) -> None:
        """A component that knows its secret is let in, by an empty handshake."""
        service = self.house.service(ECHO)
        header = service.transport.value().decode()
        self.assertIn(f"from='{ECHO}'", header)
        self.assertIn("xmlns='jabber:component:accept'", header)
        self.assertNotIn("version='1.0'", header.partition("?>")[2])
        service.shake_hands(SECRET)
        self.assertEqual(service.raw(), b"<handshake/>")

    def test_wrong_secret(self) -> None:
        """Whoever does not know the secret is told so, and the stream is over."""
        service = self.house.service(ECHO)
        service.shake_hands("therefore")
        data = service.raw().decode()
        self.assertIn("<not-authorized ", data)
        self.assertTrue(data.endswith("</stream:stream>"))
        self.assertFalse(self.house.server.components.routes[ECHO].sessions)

    def test_elements_declare_the_content_namespace(self) -> None:
        """A header may leave it to the elements behind it."""
        service = self.house.service()
        service.send(f"<stream xmlns='{STREAM}' to='{ECHO}'>")
        stream_id = service.raw().partition(b" id='")[2].partition(b"'")[0].decode()
        proof = sha1(f"{stream_id}{SECRET}".encode()).hexdigest()  # XEP-0114 has it so
        service.send(f"<handshake xmlns='jabber:component:accept'>{proof}</handshake>")
        self.assertEqual(service.raw(), b"<handshake/>")

    def test_odd_handshakes(self) -> None:
        """Nothing, something that is not ASCII, or elements are no proof."""
        for odd in ("", "ὄνομα", "<x/>", "0" * 5_000):
            with self.subTest(odd[:10]):
                house = component_house()
                service = house.service(ECHO)
                service.raw()
                service.send(f"<handshake>{odd}</handshake>")
                self.assertIn(b"<not-authorized ", service.raw())

    def test_unknown_component(self) -> None:
        """A component that is not configured is told so, behind a header."""
        for domain in ("tomb.montague.lit", "montague.lit", "a..b", ""):
            with self.subTest(domain):
                service = self.house.service()
                service.open(domain)
                self.assertEqual(self.error_of(service), "host-unknown")

    def test_no_name(self) -> None:
        """A header that does not say which component it is, is told so."""
        service = self.house.service()
        service.send(HEADER.replace(" to='echo.montague.lit'", ""))
        self.assertEqual(self.error_of(service), "improper-addressing")

    def test_other_namespaces(self) -> None:
        """Clients and servers have doors of their own."""
        for namespace in ("jabber:client", "jabber:server", "jabber:component:connect"):
            with self.subTest(namespace):
                service = self.house.service()
                service.send(HEADER.replace("jabber:component:accept", namespace))
                self.assertEqual(self.error_of(service), "invalid-namespace")

    def test_no_stream(self) -> None:
        """What does not begin with a stream is refused."""
        service = self.house.service()
        service.send("<handshake xmlns='jabber:component:accept'>")
        self.assertEqual(self.error_of(service), "bad-format")

    def test_handshake_first(self) -> None:
        """Nothing is taken from a component before it has proved itself."""
        for early in (
            "<message to='romeo@montague.lit'/>",
            "<iq type='get' id='1' to='montague.lit'><ping xmlns='urn:xmpp:ping'/></iq>",
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
            "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
            HEADER + "</stream:stream>",
        ):
            with self.subTest(early):
                service = self.house.service(ECHO)
                service.raw()
                service.send(early)
                self.assertIn(b"<not-authorized ", service.raw())
                self.assertTrue(service.closed)

    def test_twice(self) -> None:
        """A component that is in has no more handshakes to make, nor streams to open."""
        for more in ("<handshake/>", HEADER + "</stream:stream>", "<log/>"):
            with self.subTest(more):
                service = self.house.service(ECHO, SECRET)
                service.send(more)
                self.assertIn(b"<unsupported-stanza-type ", service.raw())
                self.assertFalse(self.house.server.components.routes[ECHO].sessions)

    def test_closed(self) -> None:
        """Who closes its stream in any state is answered likewise."""
        for service in (self.house.service(ECHO), self.house.service(ECHO, SECRET)):
            service.raw()
            service.send("</stream:stream>")
            self.assertEqual(service.raw(), b"</stream:stream>")
            self.assertTrue(service.transport.lost)

    def test_too_slow(self) -> None:
        """Who does not make the handshake in time is sent away."""
        service = self.house.service(ECHO)
        service.raw()
        self.house.clock.pump([15.0] * 5)
        self.assertIn(b"<connection-timeout ", service.raw())

    def test_silence(self) -> None:
        """A component may be silent for ever: it is sent a space now and then, and that is all."""
        service = self.house.service(ECHO, SECRET)
        self.house.clock.pump([15.0] * 100)
        data = service.raw()
        self.assertTrue(data and not data.strip(), data)
        self.assertFalse(service.closed)

    def test_guessing_is_slow(self) -> None:
        """Who guesses waits longer each time, and in the end is not even heard."""
        told = []
        for _ in range(20):
            service = self.house.service(ECHO)
            service.shake_hands("therefore")
            told.append(service.raw())
        self.assertIn(b"wrong secret", told[0])
        self.assertIn(b"Too many attempts", told[-1])
        waiting = [data for data in told if not data]
        self.assertGreater(len(waiting), 5)
        self.house.clock.advance(60)

    def test_gone_while_it_waits(self) -> None:
        """Who hangs up while its handshake waits is not let in afterwards."""
        for _ in range(5):
            guesser = self.house.service(ECHO)
            guesser.shake_hands("therefore")
        service = self.house.service(ECHO)
        service.shake_hands(SECRET)
        self.assertEqual(service.raw(), b"")
        service.abort()
        self.house.clock.advance(60)
        self.assertFalse(self.house.server.components.routes[ECHO].sessions)
        self.assertNotIn(service.handler, self.house.server.components.connections.handlers)

    def test_one_is_enough(self) -> None:
        """A second connection is refused where one is configured, and the first stays."""
        first = self.house.service(ECHO, SECRET)
        second = self.house.service(ECHO)
        second.shake_hands(SECRET)
        self.assertIn(b"<conflict ", second.raw())
        self.assertFalse(first.closed)

    def test_shutdown(self) -> None:
        """When the server stops, components are told."""
        service = self.house.service(ECHO, SECRET)
        self.house.stop()
        self.assertIn(b"<system-shutdown ", service.raw())


class FromTests(ComponentCase):
    """Whom a component may speak for (CO-3)."""

    def setUp(self) -> None:
        super().setUp()
        (self.romeo,) = self.house.connect("romeo")
        self.service = self.house.service(ECHO, SECRET)

    def test_anybody_at_its_domain(self) -> None:
        """It is the component itself, or anybody at its domain; unsaid, it is the component."""
        for sender in (ECHO, f"{ECHO}/desk", f"nurse@{ECHO}", f"nurse@{ECHO}/1", ""):
            with self.subTest(sender):
                written = f"from='{sender}'" if sender else ""
                self.service.send(f"<message {written} to='romeo@montague.lit'><body/></message>")
                (message,) = self.romeo.received()
                self.assertIn(f'from="{sender or ECHO}"', message.replace("'", '"'))

    def test_nobody_else(self) -> None:
        """Whoever speaks for somebody else is cut off, and nothing of it arrives."""
        for sender in (
            "montague.lit",
            "juliet@montague.lit",
            "juliet@montague.lit/balcony",
            "other.montague.lit",
            f"sub.{ECHO}",
            f"{ECHO}.evil.example",
            "@",
            "a..b",
        ):
            with self.subTest(sender):
                self.service.abort()
                service = self.house.service(ECHO, SECRET)
                service.send(f"<message from='{sender}' to='romeo@montague.lit'><body/></message>")
                self.assertIn(b"<invalid-from ", service.raw())
                self.assertEqual(self.romeo.received(), [])

    def test_nobody_named(self) -> None:
        """A message or a request that is for nobody comes back; presence reaches nobody."""
        self.service.send("<message id='1'/><iq type='get' id='2'><x xmlns='u'/></iq><presence/>")
        answers = self.service.received()
        self.assertEqual(len(answers), 2)
        for answer in answers:
            self.assertIn("<bad-request ", answer)
            self.assertIn("from='montague.lit'", answer)

    def test_no_address(self) -> None:
        """What is for something that is no address comes back, without that text as an address."""
        self.service.send(f"<message id='1' from='nurse@{ECHO}' to='a..b'/>")
        self.service.send("<message id='2' type='error' to='a..b'/>")
        (answer,) = self.service.received()
        self.assertIn("<jid-malformed ", answer)
        self.assertIn(f"to='nurse@{ECHO}'", answer)
        self.assertNotIn("from='a..b'", answer)

    def test_not_a_client(self) -> None:
        """What is for clients only does not work from here."""
        for query in (
            "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>",
            "<query xmlns='jabber:iq:roster'><item jid='juliet@montague.lit'/></query>",
        ):
            with self.subTest(query):
                for to in ("montague.lit", "romeo@montague.lit"):
                    self.service.send(f"<iq type='set' id='b' to='{to}'>{query}</iq>")
                    (answer,) = self.service.received()
                    self.assertIn("type='error'", answer)
        self.assertEqual(self.romeo.received(), [])


class TrafficTests(ComponentCase):
    """What goes between people and components."""

    def setUp(self) -> None:
        super().setUp()
        (self.romeo,) = self.house.connect("romeo")
        self.service = self.house.service(ECHO, SECRET)

    def test_message(self) -> None:
        """A message goes there and back."""
        self.romeo.send(f"<message to='nurse@{ECHO}' id='1'><body>peace</body></message>")
        (message,) = self.service.received()
        self.assertIn("from='romeo@montague.lit/1'", message)
        self.assertIn("<body>peace</body>", message)
        self.service.send(
            f"<message from='nurse@{ECHO}' to='romeo@montague.lit/1'><body>ay me</body></message>"
        )
        (answer,) = self.romeo.received()
        self.assertIn("<body>ay me</body>", answer)

    def test_asks_the_server(self) -> None:
        """The server answers a component as anybody."""
        self.service.send(
            f"<iq from='{ECHO}' to='montague.lit' type='get' id='p'><ping xmlns='urn:xmpp:ping'/>"
            "</iq>"
        )
        (answer,) = self.service.received()
        self.assertEqual(answer, f"<iq from='montague.lit' to='{ECHO}' type='result' id='p'/>")

    def test_request(self) -> None:
        """A request goes there, and its answer back."""
        self.romeo.send(f"<iq to='{ECHO}' type='get' id='7'><ping xmlns='urn:xmpp:ping'/></iq>")
        (request,) = self.service.received()
        self.assertIn("id='7'", request)
        self.service.send(f"<iq from='{ECHO}' to='romeo@montague.lit/1' type='result' id='7'/>")
        (answer,) = self.romeo.received()
        self.assertIn("type='result'", answer)

    def test_item(self) -> None:
        """A component that is connected is an item of the server, and no other is."""
        ask = (
            "<iq to='montague.lit' type='get' id='i'>"
            "<query xmlns='http://jabber.org/protocol/disco#items'/></iq>"
        )
        self.romeo.send(ask)
        self.assertIn(f"<item jid='{ECHO}'/>", self.romeo.received()[0])
        self.service.abort()
        self.romeo.send(ask)
        self.assertNotIn(ECHO, self.romeo.received()[0])

    def test_elsewhere(self) -> None:
        """What is for a domain that nobody knows comes back to the component."""
        self.service.send(f"<message from='a@{ECHO}' to='x@elsewhere.example' id='1'/>")
        (answer,) = self.service.received()
        self.assertIn("<remote-server-not-found ", answer)
        self.assertIn(f"to='a@{ECHO}'", answer)

    def test_not_connected(self) -> None:
        """What is for a component that is away comes back at once, and may be tried again."""
        self.service.abort()
        self.romeo.send(f"<message to='nurse@{ECHO}' id='1'><body/></message>")
        self.romeo.send(f"<iq to='{ECHO}' type='get' id='2'><x xmlns='u'/></iq>")
        self.romeo.send(f"<presence to='{ECHO}'/>")
        answers = self.romeo.received()
        self.assertEqual(len(answers), 2)
        for answer in answers:
            self.assertIn("<remote-server-timeout ", answer)
            self.assertIn("type='wait'", answer)

    def test_unread(self) -> None:
        """What a component had not read when it hung up comes back to those who wait for it."""
        self.service.stop_reading()
        self.romeo.send(f"<message to='nurse@{ECHO}' id='1'><body/></message>")
        self.romeo.send(f"<iq to='{ECHO}' type='get' id='2'><x xmlns='u'/></iq>")
        self.romeo.send(f"<presence to='{ECHO}'/><iq to='{ECHO}' type='result' id='3'/>")
        self.assertEqual(self.romeo.received(), [])
        self.service.abort()
        self.assertEqual(
            [re.findall(r" id='(\d)'", answer) for answer in self.romeo.received()], [["1"], ["2"]]
        )

    def test_reads_on(self) -> None:
        """A component that reads slowly gets everything, in order."""
        self.service.stop_reading()
        for number in range(20):
            self.romeo.send(f"<message to='nurse@{ECHO}' id='{number}'><body/></message>")
        self.assertEqual(self.service.raw(), b"")
        self.service.read_on()
        found = [re.findall(r" id='(\d+)'", message)[0] for message in self.service.received()]
        self.assertEqual(found, [str(number) for number in range(20)])
        assert self.service.stream.session is not None
        self.assertIsNone(self.service.stream.session.backlog)

    def test_never_reads(self) -> None:
        """A component that never reads is cut off when too much waits, and it all comes back."""
        limit = self.house.server.config.stream.max_queued_bytes
        self.service.stop_reading()
        body = "x" * 100_000
        sent = limit // 100_000 + 1
        for number in range(sent):
            self.romeo.send(f"<message to='{ECHO}' id='{number}'><body>{body}</body></message>")
        self.assertTrue(self.service.transport.lost)
        self.assertEqual(len(self.romeo.received()), sent)

    def test_presence(self) -> None:
        """Presence goes both ways."""
        self.service.send(f"<presence from='nurse@{ECHO}/1' to='romeo@montague.lit'/>")
        (presence,) = self.romeo.received()
        self.assertIn(f"from='nurse@{ECHO}/1'", presence)
        self.romeo.send(f"<presence to='nurse@{ECHO}'/>")
        (presence,) = self.service.received()
        self.assertIn("from='romeo@montague.lit/1'", presence)

    def test_flood(self) -> None:
        """A component that talks too fast is read more slowly, and loses nothing."""
        fast = self.house.server.config.component_stream.stanzas_per_s
        self.service.send(f"<message to='{ECHO}'/>" * int(fast + 100))
        before = len(self.service.received())
        self.assertLess(before, fast + 10)
        self.house.clock.pump([0.01] * 20)
        self.assertEqual(before + len(self.service.received()), fast + 100)

    def test_oversize(self) -> None:
        """A stanza that is too large ends the component's stream, and nobody else's."""
        limit = self.house.server.config.stream.max_stanza_bytes
        for size in (limit, 2 * limit):
            body = f"<body>{'x' * size}</body>"
            self.service.send(f"<message to='romeo@montague.lit'>{body}</message>")
        self.assertEqual(len(self.romeo.received()), 1)
        self.assertEqual(self.error_of(self.service), "policy-violation")
        self.romeo.send("<message to='romeo@montague.lit'><body>alive</body></message>")
        self.assertIn("alive", self.romeo.received()[0])

    def test_oversize_before_the_handshake(self) -> None:
        """Before it has proved itself, much less will do."""
        limit = self.house.server.config.stream.max_preauth_stanza_bytes
        service = self.house.service(ECHO)
        service.send(f"<handshake>{'0' * limit}</handshake>")
        self.assertIn(b"<policy-violation ", service.raw())
