"""Stream management: acknowledgements, lost connections, and sessions that come back."""

import re
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore
from xmppd.events import OWNER, On
from xmppd.message.follower import Follower
from xmppd.session import resumable_sessions
from xmppd.session.backlog import OVERHEAD_BYTES
from xmppd.session.resumable_sessions import SessionDetached, SessionResumed, StanzaWaits
from xmppd.stanza import IQ, JID, Later, Presence, StreamCondition, StreamError, ns
from xmppd.store.errors import StoreError
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config

DOMAIN = "montague.lit"
JULIET, ROMEO = f"juliet@{DOMAIN}", f"romeo@{DOMAIN}"
SM = ns.STREAM_MANAGEMENT


def message(text: str, to: str = JULIET, kind: str = "chat") -> str:
    """A message that says something."""
    return f"<message to='{to}' type='{kind}'><body>{text}</body></message>"


def said(stanza: str) -> str:
    """A stanza in a word."""
    for tag in ("body", "status"):
        if f"<{tag}>" in stanza:
            return stanza.partition(f"<{tag}>")[2].partition("<")[0]
    kind = re.search(r"^<[^>]* type='(\w+)'", stanza)
    return kind[1] if kind else re.findall(r"\w+", stanza)[0]


def sm(name: str, **attributes: object) -> str:
    """An element of stream management."""
    return f"<{name} xmlns='{SM}' " + " ".join(f"{k}='{v}'" for k, v in attributes.items()) + "/>"


class Shelf(Follower):
    """Has something to store, as long as a test says so."""

    def __init__(self) -> None:
        self.storing: Deferred[None] | None = Deferred()

    def secure(self, account: str) -> Later:
        storing, self.storing = self.storing, None
        return None if storing is None else self.wait(storing)

    async def wait(self, storing: Deferred[None]) -> None:
        await storing


class ResumptionCase(SynchronousTestCase):
    """Romeo and Juliet see each other; Juliet has enabled stream management."""

    settings: ClassVar[dict[str, object]] = {}

    def setUp(self) -> None:
        config = house_config(DOMAIN, stream_management=self.settings)
        self.store = SlowStore()
        self.house = House(
            DOMAIN, config=config, store=self.store, romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )  # fmt: skip
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.read(self.romeo)
        self.read(self.juliet)
        self.previd = self.juliet.enable()

    def read(self, client: Client) -> list[str]:
        return [said(stanza) for stanza in client.received()]

    def come_back(self, h: int = 0, name: str = "juliet") -> list[str]:
        """Juliet resumes; what she is sent."""
        self.juliet = self.house.logged_in(name)
        return [said(stanza) for stanza in self.juliet.resume(self.previd, h)]

    def stored(self) -> list[str]:
        """What waits in the store for Juliet."""
        return [
            said(m.stanza.decode()) for m in done(self.house.store.offline.offline_messages(JULIET))
        ]

    def last_words(self, client: Client) -> str:
        """The stream error that a client was told."""
        data = client.raw().decode()
        return data[data.index("<stream:error>") :]

    def wait(self, seconds: float) -> None:
        """Turn the clock; Romeo is never silent for long."""
        for _ in range(int(seconds)):
            self.house.clock.advance(1)
            self.romeo.send(" ")
        self.house.server.client_connections.sweep()


class EnablingTests(ResumptionCase):
    """``<enable/>``."""

    def test_offered(self) -> None:
        """It is offered to whoever has logged in, and to nobody else."""
        client = self.house.unauthenticated()
        client.open(DOMAIN)
        features = re.sub(rb"<inline>.*</inline>", b"", client.raw())  # there a login brings it
        self.assertNotIn(SM.encode(), features)
        client.stanza_handler.authenticated(self.house.jid("romeo"))
        client.handler.restart()
        client.open(DOMAIN)
        self.assertIn(f"<sm xmlns='{SM}'/>".encode(), client.raw())

    def test_switched_off(self) -> None:
        """Where it is switched off it is not known at all."""
        config = house_config(DOMAIN, stream_management={"enabled": False})
        client = House(DOMAIN, config=config, romeo={}).bind("romeo")
        client.send(sm("enable"))
        self.assertIn("unsupported-stanza-type", self.last_words(client))

    def test_enabled(self) -> None:
        """A client that wants to resume is told an id, and for how long it may stay away."""
        self.romeo.send(sm("enable", resume="true"))
        self.assertRegex(
            self.romeo.raw().decode(),
            rf"^<enabled xmlns='{SM}' id='[\w-]{{32}}' resume='true' max='300'/>$",
        )

    def test_wishes(self) -> None:
        """It may wish for less time, and never for more."""
        for wish, granted in (("60", "60"), ("0", "0"), ("4000000000", "300"), ("-1", "300")):
            client = self.house.bind("romeo", f"r{granted}{wish}")
            client.send(sm("enable", resume="1", max=wish))
            self.assertIn(f" max='{granted}'/>", client.raw().decode())

    def test_without_resuming(self) -> None:
        """One that does not want to gets no id; its session ends with its connection."""
        self.assertEqual(self.romeo.enable("resume='false'"), "")
        self.romeo.abort()
        self.assertEqual(self.read(self.juliet), ["unavailable"])

    def test_too_early(self) -> None:
        """Before a resource is bound it fails, and binding is still possible."""
        for client in (self.house.unauthenticated(), self.house.logged_in("romeo")):
            client.open(DOMAIN) if client.session.account is None else None
            client.raw()
            client.send(sm("enable"))
            self.assertIn(b"<failed xmlns='urn:xmpp:sm:3'><unexpected-request ", client.raw())
            self.assertFalse(client.closed)

    def test_twice(self) -> None:
        """A second time it fails, and all goes on as it was: the counts, and the id."""
        previd = self.romeo.enable()
        for again in (sm("enable", resume="true"), sm("enable"), sm("enable", resume="false")):
            self.romeo.send(f"<message to='{JULIET}'><body>one</body></message>")
            self.romeo.send(again)
            refusal = f"<unexpected-request xmlns='{ns.STANZA_ERRORS}'/>"
            self.assertEqual(self.romeo.raw().decode(), f"<failed xmlns='{SM}'>{refusal}</failed>")
        self.romeo.send(sm("r"))
        self.assertIn(b" h='3'/>", self.romeo.raw())
        self.assertFalse(self.romeo.closed)
        self.romeo.abort()
        self.assertIn(" h='3'/>", self.house.logged_in("romeo").resume(previd, 0)[0])

    def test_thousands(self) -> None:
        """Who enables it on ever more connections holds no more sessions than any account."""
        for number in range(1_000):
            client = self.house.bind("romeo", f"r{number}")
            client.enable()
            client.abort()
        sessions = list(self.house.server.session_manager.local_sessions(ROMEO))
        self.assertLessEqual(len(sessions), 10)
        self.assertLessEqual(len(self.house.server.resumable_sessions), 10)
        self.romeo.send(message("still here"))
        self.assertEqual(self.read(self.juliet), ["still here"])


class AcknowledgementTests(ResumptionCase):
    """``<r/>`` and ``<a/>``."""

    settings: ClassVar[dict[str, object]] = {"ack_every_stanzas": 3, "ack_after_s": 10.0}

    def read(self, client: Client) -> list[str]:
        return [said(element) for element in client.elements()]

    def test_handled(self) -> None:
        """What a client has sent since it enabled it is counted, whatever came of it."""
        self.juliet.send(message("a", ROMEO) + "<iq type='get' id='x'><q xmlns='y'/></iq>")
        self.juliet.send("<presence/><message to='@'/>")
        self.juliet.raw()
        self.juliet.send(sm("r"))
        self.assertEqual(self.juliet.raw(), b"<a xmlns='urn:xmpp:sm:3' h='4'/>")

    def test_not_yet_handled(self) -> None:
        """A stanza that waits for the store is counted when it is there, not before."""
        self.romeo.enable()
        self.store.slow = True
        self.house.add("nurse")
        self.romeo.send(message("a", f"nurse@{DOMAIN}") + sm("r"))
        self.assertEqual(self.romeo.raw(), b"")
        management = self.romeo.session.management
        assert management is not None
        self.assertEqual(management.handled, 0)
        self.store.release_all()
        self.assertEqual(self.romeo.raw(), b"<a xmlns='urn:xmpp:sm:3' h='1'/>")

    def test_asked_at_once(self) -> None:
        """A message is asked about in the same send, unless the last request is still open."""
        self.romeo.send(message("a"))
        self.assertEqual(self.read(self.juliet), ["a", "r"])
        self.romeo.send(message("b"))
        self.assertEqual(self.read(self.juliet), ["b"])
        self.juliet.send(sm("a", h=1))
        self.assertEqual(self.read(self.juliet), ["r"])
        self.juliet.send(sm("a", h=2))
        self.assertEqual(self.read(self.juliet), [])
        self.romeo.send(message("c"))
        self.assertEqual(self.read(self.juliet), ["c", "r"])

    def test_asked_by_count(self) -> None:
        """The client is asked after every so many stanzas of whatever kind."""
        for show in "abcdefg":
            self.romeo.send(f"<presence><status>{show}</status></presence>")
        told = ["r" if "<r " in each else "" for each in self.juliet.elements()]
        self.assertEqual(told, ["", "", "", "r", "", "", "", "r", ""])

    def test_asked_by_time(self) -> None:
        """It is asked for a single presence when some time has passed, once."""
        self.romeo.send("<presence/>")
        self.juliet.raw()
        self.wait(5)
        self.assertEqual(self.read(self.juliet), [])
        self.wait(20)
        self.assertEqual(self.read(self.juliet), ["r"])
        self.wait(20)
        self.assertEqual(self.read(self.juliet), [])

    def test_forgotten(self) -> None:
        """What is acknowledged is kept no more."""
        management = self.juliet.session.management
        assert management is not None
        for text in "abcd":
            self.romeo.send(message(text))
        self.assertEqual(len(management), 4)
        self.juliet.send(sm("a", h=3))
        self.assertEqual(len(management), 1)
        self.juliet.send(sm("a", h=4))
        self.assertEqual((len(management), management.load.all_bytes), (0, 0))

    def test_wrap(self) -> None:
        """Counters begin anew behind 4,294,967,295."""
        management = self.juliet.session.management
        assert management is not None
        management.sent = management.handled = 2**32 - 2
        for text in "abcd":
            self.romeo.send(message(text))
            self.juliet.send(message("x", f"nobody@{DOMAIN}", "headline"))
        self.assertEqual((management.sent, management.handled), (2, 2))
        self.juliet.send(sm("a", h=2**32 - 1))
        self.juliet.raw()
        self.juliet.send(sm("a", h=1) + sm("r"))
        self.assertEqual(self.juliet.raw(), b"<a xmlns='urn:xmpp:sm:3' h='2'/>")
        self.juliet.abort()
        self.assertEqual(self.come_back(1)[:1], ["resumed"])

    def test_too_high(self) -> None:
        """Who acknowledges what was never sent is told so by the specified error, and closed."""
        self.romeo.send(message("a"))
        self.juliet.raw()
        self.juliet.send(sm("a", h=2))
        self.assertRegex(
            self.last_words(self.juliet),
            "<stream:error><undefined-condition xmlns='[^']*'/><text .*</text>"
            "<handled-count-too-high xmlns='urn:xmpp:sm:3' h='2' send-count='1'/></stream:error>"
            "</stream:stream>",
        )
        self.assertEqual(self.read(self.romeo), ["unavailable"])
        self.assertEqual(self.stored(), ["a"])

    def test_no_count(self) -> None:
        """An ``<a/>`` that counts nothing ends the stream."""
        for h in ("", "x", "-1", str(2**32), "9" * 30, "1.0"):
            client = self.house.bind("romeo", f"r{len(h)}{h[:1]}")
            client.enable()
            client.send(sm("a", h=h))
            self.assertIn("bad-format", self.last_words(client))

    def test_not_enabled(self) -> None:
        """Who has not enabled it has nothing to acknowledge."""
        for element in (sm("a", h=0), sm("r")):
            client = self.house.bind("romeo", "other")
            client.send(element)
            self.assertIn("unsupported-stanza-type", self.last_words(client))


class ResumingTests(ResumptionCase):
    """``<resume/>``."""

    def test_silence(self) -> None:
        """A client that comes back in time has all it missed, and nobody has noticed anything."""
        self.romeo.send(message("a"))
        self.juliet.abort()
        self.romeo.send(message("b") + message("c"))
        self.wait(290)
        self.assertEqual(self.come_back(), ["resumed", "a", "b", "c"])
        self.romeo.send(message("d"))
        self.assertEqual(self.read(self.juliet), ["d"])
        self.assertEqual(self.read(self.romeo), [])

    def test_acknowledged(self) -> None:
        """What it says it has is not sent again."""
        for text in "abc":
            self.romeo.send(message(text))
        self.juliet.abort()
        self.assertEqual(self.come_back(2), ["resumed", "c"])
        self.juliet.abort()
        self.assertEqual(self.come_back(3), ["resumed"])

    def test_both_ways(self) -> None:
        """It is told how much of its own was handled."""
        self.juliet.send(message("a", ROMEO) + message("b", ROMEO))
        self.juliet.abort()
        self.juliet = self.house.logged_in("juliet")
        (answer,) = self.juliet.resume(self.previd, 0)
        self.assertIn(f"previd='{self.previd}'", answer)
        self.assertIn("h='2'", answer)
        self.assertEqual(self.juliet.jid, self.house.jid("juliet").with_resource("1"))

    def test_stamps(self) -> None:
        """Messages that waited say since when, once."""
        self.juliet.abort()
        self.romeo.send(message("a"))
        self.wait(60)
        for _ in range(2):
            self.juliet = self.house.logged_in("juliet")
            (_, late) = self.juliet.resume(self.previd, 0)
            self.assertEqual(re.findall("stamp='([^']*)'", late), ["2023-11-14T22:13:20Z"])
            self.juliet.abort()

    def test_presence(self) -> None:
        """Of the presences it missed the newest of each sender comes."""
        self.juliet.abort()
        for text in "abc":
            self.romeo.send(f"<presence><status>{text}</status></presence>")
        self.assertEqual(self.come_back(), ["resumed", "c"])

    def test_state(self) -> None:
        """A session that sleeps is as available as before, to everybody."""
        self.juliet.abort()
        nurse = self.house.add("nurse", {"juliet": "both"})
        done(self.house.server.roster_manager.roster(nurse))
        self.assertEqual(len(self.house.server.routing_table.available(JULIET)), 1)
        self.romeo.send(f"<presence type='probe' to='{JULIET}'/>")
        self.assertEqual(self.read(self.romeo), ["presence"])

    def test_replaced(self) -> None:
        """A connection that seems alive is closed for the new one, and nobody notices."""
        self.romeo.send(message("a"))
        old = self.juliet
        old.raw()
        self.assertEqual(self.come_back(), ["resumed", "a"])
        self.assertIn("<conflict ", self.last_words(old))
        old.send(message("too late", ROMEO))
        old.abort()
        self.assertEqual(self.read(self.romeo), [])
        self.romeo.send(message("b"))
        self.assertEqual(self.read(self.juliet), ["b"])

    def test_old_wire_wakes(self) -> None:
        """What happens to the old connection later is nothing to the session."""
        old = self.juliet
        self.come_back()
        self.romeo.send(message("a"))
        self.read(self.juliet)
        old.stop_reading()
        self.romeo.send(message("b"))
        self.assertEqual(self.read(self.juliet), ["b"])
        self.juliet.stop_reading()
        self.romeo.send(message("c"))
        old.read_on()
        self.assertEqual(self.read(self.juliet), [])
        self.juliet.read_on()
        self.assertEqual(self.read(self.juliet), ["c"])

    def test_at_work(self) -> None:
        """A stanza that is being handled is waited for, so that it is counted, and handled once."""
        self.store.slow = True
        self.house.add("nurse")
        self.juliet.send(message("a", f"nurse@{DOMAIN}") + message("b", f"nurse@{DOMAIN}"))
        self.assertEqual(self.come_back(), [])
        self.store.release_all()
        (answer,) = self.juliet.received()
        self.assertIn("h='1'", answer)

    def test_two_at_once(self) -> None:
        """Of two that resume one session the later has it."""
        self.store.slow = True
        self.house.add("nurse")
        self.juliet.send(message("a", f"nurse@{DOMAIN}"))
        first, second = self.house.logged_in("juliet"), self.house.logged_in("juliet")
        self.assertEqual(first.resume(self.previd, 0) + second.resume(self.previd, 0), [])
        self.store.release_all()
        self.romeo.send(message("b"))
        answers = [client.raw() for client in (first, second)]
        self.assertEqual([b"<resumed" in answer for answer in answers], [True, True])
        self.assertEqual([b"<conflict" in answer for answer in answers], [True, False])
        self.assertEqual([b"b</body>" in answer for answer in answers], [False, True])

    def test_unread(self) -> None:
        """What waited for a client that read slowly is sent when it comes back."""
        self.juliet.stop_reading()
        self.romeo.send(message("a") + message("b"))
        self.juliet.abort()
        self.romeo.send(message("c"))
        self.assertEqual(self.come_back(), ["resumed", "a", "b", "c"])

    def test_silent(self) -> None:
        """A connection that died without a word is closed, and its session sleeps."""
        limits = self.house.server.config.stream
        self.wait(limits.idle_timeout_s + limits.ping_timeout_s + 15)
        self.assertIn("connection-timeout", self.last_words(self.juliet))
        self.assertTrue(self.juliet.session.detached)
        self.assertEqual(self.come_back(1), ["resumed"])

    def test_crowd(self) -> None:
        """A client that resumed is one that has logged in."""
        events: list[SessionResumed] = []
        self.house.server.events.put(On(SessionResumed, events.append), OWNER)
        self.juliet.abort()
        self.come_back()
        self.assertEqual([event.session for event in events], [self.juliet.session])
        connections = self.house.server.client_connections
        self.assertNotIn(self.juliet.handler, connections.unauthenticated)
        self.assertEqual(connections.login_queue.in_progress, 0)
        self.assertEqual(len(self.house.server.session_manager.sessions), 2)

    def test_events(self) -> None:
        """Plugins hear that it sleeps, and of each stanza that waits until it comes back."""
        events: list[object] = []
        for kind in (SessionDetached, StanzaWaits, SessionResumed):
            self.house.server.events.put(On(kind, events.append), OWNER)
        self.romeo.send(message("a"))
        self.assertEqual(events, [])
        session = self.juliet.session
        self.juliet.abort()
        self.assertEqual(events, [SessionDetached(session)])
        self.romeo.send(message("b"))
        waits = events[-1]
        assert isinstance(waits, StanzaWaits)
        self.assertIs(waits.session, session)
        self.assertIn(b"<body>b</body>", waits.stanza.wire())
        self.come_back()
        self.romeo.send(message("c"))
        self.assertEqual(len(events), 3)
        self.assertIsInstance(events[-1], SessionResumed)

    def test_bound(self) -> None:
        """Who has resumed is bound, and binds nothing else."""
        self.juliet.abort()
        self.come_back()
        self.juliet.send(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq>")
        self.assertEqual(self.read(self.juliet), ["error"])


class RefusalTests(ResumptionCase):
    """``<failed/>``."""

    def failure(self, client: Client, id: str, h: object = 0) -> str:
        client.send(sm("resume", previd=id, h=h))
        return client.raw().decode()

    def test_somebody_else(self) -> None:
        """The session of another account is as unknown as one that never was, and sleeps on."""
        self.juliet.abort()
        thief = self.house.logged_in("romeo")
        answers = {self.failure(thief, id) for id in (self.previd, "does not exist")}
        self.assertEqual(
            answers,
            {f"<failed xmlns='{SM}'><item-not-found xmlns='{ns.STANZA_ERRORS}'/></failed>"},
        )
        self.assertEqual(self.come_back(), ["resumed"])

    def test_not_logged_in(self) -> None:
        """Nobody resumes anything before logging in."""
        self.juliet.abort()
        client = self.house.unauthenticated()
        client.open(DOMAIN)
        client.raw()
        self.assertIn("<unexpected-request ", self.failure(client, self.previd))
        self.assertTrue(self.juliet.session.detached)

    def test_bound_already(self) -> None:
        """Who has a resource resumes no other session."""
        client = self.house.bind("juliet", "other")
        self.assertIn("<unexpected-request ", self.failure(client, self.previd))

    def test_no_count(self) -> None:
        """Who does not say what it has is refused, and may try again."""
        self.juliet.abort()
        client = self.house.logged_in("juliet")
        self.assertIn("<bad-request ", self.failure(client, self.previd, "x"))
        self.assertIn("<resumed ", self.failure(client, self.previd))

    def test_too_high(self) -> None:
        """Who claims to have what was never sent loses the new connection, not the session."""
        self.juliet.abort()
        client = self.house.logged_in("juliet")
        self.assertIn("<handled-count-too-high ", self.failure(client, self.previd, 1))
        self.assertEqual(self.come_back(), ["resumed"])

    def test_over(self) -> None:
        """Of a session that has ended its own client learns how much was handled."""
        self.juliet.send(message("a", ROMEO))
        self.juliet.abort()
        self.wait(320)
        client = self.house.logged_in("juliet")
        self.assertIn(f"<failed xmlns='{SM}' h='1'><item", self.failure(client, self.previd))
        self.assertIn(
            f"<failed xmlns='{SM}'><item",
            self.failure(self.house.logged_in("romeo"), self.previd),
        )
        client.send(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq>")
        self.assertTrue(client.session.bound)

    def test_remembered(self) -> None:
        """What is known of sessions that ended is limited."""
        self.patch(resumable_sessions, "MAX_REMEMBERED", 2)
        ids = []
        for number in range(3):
            client = self.house.bind("romeo", f"r{number}")
            ids.append(client.enable())
            client.send("</stream:stream>")
        client = self.house.logged_in("romeo")
        found = ["h='0'" in self.failure(client, id) for id in ids]
        self.assertEqual(found, [False, True, True])


class EndTests(ResumptionCase):
    """When nobody comes back."""

    settings: ClassVar[dict[str, object]] = {
        "max_unacked_stanzas": 20,
        "max_unacked_bytes": 30_000,
        "max_detached_per_account": 2,
    }

    def test_given_up(self) -> None:
        """When the time is over contacts hear it once, and messages wait in the store, in order."""
        self.romeo.send(message("a"))
        self.juliet.abort()
        self.romeo.send(message("b"))
        self.wait(320)
        self.assertEqual(self.read(self.romeo), ["unavailable"])
        self.assertEqual(self.stored(), ["a", "b"])
        self.house.connect("juliet/2")
        self.assertEqual(self.read(self.romeo), ["presence"])

    def test_when(self) -> None:
        """Stored messages say when they came, not when they were given up."""
        self.romeo.send(message("a"))
        self.juliet.abort()
        self.wait(320)
        (stored,) = done(self.house.store.offline.offline_messages(JULIET))
        stamps = re.findall("stamp='([^']*)'", stored.stanza.decode())
        self.assertEqual(stamps, ["2023-11-14T22:13:20Z"])

    def test_acknowledged(self) -> None:
        """What was acknowledged is not stored."""
        self.romeo.send(message("a") + message("b"))
        self.juliet.send(sm("a", h=1))
        self.juliet.abort()
        self.wait(320)
        self.assertEqual(self.stored(), ["b"])

    def test_other_resource(self) -> None:
        """Another resource gets what was not acknowledged; who had it as well gets it once."""
        (other,) = self.house.connect("juliet/2")
        self.romeo.send(message("both") + message("one", f"{JULIET}/1"))
        self.assertEqual(self.read(other)[-1:], ["both"])
        self.juliet.abort()
        self.romeo.raw()
        self.wait(320)
        self.assertEqual(self.read(other)[:2], ["unavailable", "one"])
        self.assertEqual(self.stored(), [])

    def test_to_one_resource(self) -> None:
        """What was for this resource is stored all the same; what a room said is bounced."""
        self.juliet.abort()
        for kind in ("normal", "chat", "groupchat"):
            self.romeo.send(message(kind, f"{JULIET}/1", kind))
        self.wait(320)
        self.assertEqual(self.read(self.romeo), ["unavailable", "error"])
        self.assertEqual(self.stored(), ["normal", "chat"])

    def test_requests(self) -> None:
        """A request that nobody answers is answered with an error."""
        self.juliet.abort()
        self.romeo.send(f"<iq type='get' id='v' to='{JULIET}/1'><q xmlns='x'/></iq>")
        self.wait(320)
        self.assertEqual(self.read(self.romeo), ["unavailable", "error"])

    def test_goodbye(self) -> None:
        """A client that closes its stream is gone at once."""
        self.juliet.send("</stream:stream>")
        self.assertEqual(self.read(self.romeo), ["unavailable"])
        self.assertIn("failed", self.come_back())

    def test_goodbye_unread(self) -> None:
        """Also then what it did not acknowledge is stored."""
        self.romeo.send(message("a"))
        self.juliet.send("</stream:stream>")
        self.assertEqual(self.stored(), ["a"])

    def test_not_resumable(self) -> None:
        """A client that only acknowledges loses nothing either."""
        self.romeo.enable("")
        self.juliet.send(message("a", ROMEO) + message("b", ROMEO))
        self.romeo.send(sm("a", h=1))
        self.romeo.abort()
        waiting = done(self.house.store.offline.offline_messages(ROMEO))
        self.assertEqual([said(each.stanza.decode()) for each in waiting], ["b"])

    def test_misbehaviour(self) -> None:
        """A client that is thrown out does not come back to its session."""
        self.juliet.send("<nonsense/>")
        self.assertEqual(self.read(self.romeo), ["unavailable"])
        self.assertIn("failed", self.come_back())

    def test_kicked(self) -> None:
        """Who is closed while it sleeps is gone, and told so to its contacts."""
        self.juliet.abort()
        error = StreamError(StreamCondition.POLICY_VIOLATION)
        self.assertEqual(self.house.server.session_manager.close_all(JULIET, error), 1)
        self.assertEqual(self.read(self.romeo), ["unavailable"])

    def test_resource_taken(self) -> None:
        """Who binds the resource of a session that sleeps gets its messages, in order."""
        self.romeo.send(message("a"))
        self.juliet.abort()
        self.romeo.send(message("b"))
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        self.assertEqual(self.read(self.romeo), ["unavailable", "presence"])
        self.assertEqual(self.read(juliet), ["presence", "presence", "a", "b", "get"])

    def test_many_asleep(self) -> None:
        """Of an account's sessions a few sleep; the one that has slept longest makes room."""
        for resource in "234":
            (client,) = self.house.connect(f"juliet/{resource}")
            client.enable()
            self.house.clock.advance(1)
            client.abort()
        left = [s.jid.resource for s in self.house.server.session_manager.local_sessions(JULIET)]
        self.assertEqual(left, ["1", "3", "4"])

    def test_full_by_count(self) -> None:
        """A client that acknowledges nothing is closed at the limit; its messages are stored."""
        for number in range(21):
            self.romeo.send(message(str(number)))
        self.assertIn("resource-constraint", self.last_words(self.juliet))
        self.assertEqual(self.stored(), [str(number) for number in range(21)])
        self.assertEqual(self.read(self.romeo), ["unavailable"])

    def test_full_by_size(self) -> None:
        """So it is with bytes, and while it sleeps."""
        self.juliet.abort()
        for number in range(8):
            self.romeo.send(message(str(number) + 4_000 * "x"))
        self.assertEqual(self.read(self.romeo), ["unavailable"])
        self.assertEqual([text[0] for text in self.stored()], list("01234567"))

    def test_full_while_asleep(self) -> None:
        """The limit counts what was sent before and what waits together."""
        for number in range(12):
            self.romeo.send(message(str(number)))
        self.juliet.abort()
        for number in range(12, 21):
            self.romeo.send(message(str(number)))
        self.assertEqual(self.read(self.romeo), ["unavailable"])
        self.assertEqual(self.stored(), [str(number) for number in range(21)])


class PresenceTests(ResumptionCase):
    """Presences that are not acknowledged: of each sender only the newest is kept."""

    settings: ClassVar[dict[str, object]] = {"max_unacked_stanzas": 20, "max_unacked_bytes": 30_000}

    def say(self, *texts: str) -> None:
        """Romeo says how he is; ``-`` is that he leaves."""
        for text in texts:
            gone = " type='unavailable'" if text == "-" else ""
            self.romeo.send(f"<presence{gone}><status>{text}</status></presence>")

    def test_newest(self) -> None:
        """Who comes back hears the newest, and the last goodbye before it, where they stood."""
        self.say("1")
        self.romeo.send(message("a"))
        self.say("2", "-", "3", "-", "4")
        self.romeo.send(message("b"))
        self.say("5")
        self.juliet.abort()
        self.assertEqual(self.come_back(), ["resumed", "a", "-", "b", "5"])

    def test_counted(self) -> None:
        """What is out of date was sent all the same, and may be acknowledged one by one."""
        self.say("1", "2")
        self.romeo.send(message("a"))
        self.say("3", "4")
        self.romeo.send(message("b"))
        management = self.juliet.session.management
        assert management is not None
        for h, left in ((0, "a4b"), (1, "a4b"), (2, "a4b"), (3, "4b"), (4, "4b"), (5, "b")):
            self.juliet.send(sm("a", h=h))
            kept = [said(wire.decode()) for _, wire, _ in management.unacknowledged()]
            self.assertEqual("".join(kept), left)
            self.assertEqual(management.outstanding, 6 - h)
        self.juliet.abort()
        self.say("5")
        self.assertEqual(self.come_back(5), ["resumed", "b", "5"])
        self.juliet.send(sm("a", h=9))
        self.assertIn("send-count='7'", self.last_words(self.juliet))

    def test_after_a_restart(self) -> None:
        """Positions outlive a restart: the client says how many it got, and gets the others."""
        for h, again in ((2, ["a", "b"]), (4, ["b"]), (5, [])):
            with self.subTest(h=h):
                self.setUp()
                self.say("1", "2")
                self.romeo.send(message("a"))
                self.say("3")
                self.romeo.send(message("b"))
                self.house = self.house.restarted()
                self.assertEqual(self.come_back(h), ["resumed", *again, "unavailable"])

    def test_many(self) -> None:
        """Many who come at once, and come and go, do not end a session that acknowledges late."""
        management = self.juliet.session.management
        assert management is not None
        for turn in range(3):
            for number in range(60):
                sender = JID.parse(f"n{number}@{DOMAIN}/1")
                presence = Presence.make(None, sender, b"%d" % turn + b"x" * 1_000)
                self.assertTrue(self.juliet.session.deliver(presence, presence.wire()))
        self.assertFalse(self.juliet.closed)
        self.assertEqual((management.outstanding, len(management)), (180, 60))
        for number in range(20):
            self.romeo.send(message(str(number)))
        self.assertFalse(self.juliet.closed)
        self.romeo.send(message("one more"))
        self.assertIn("resource-constraint", self.last_words(self.juliet))

    def test_many_pushes(self) -> None:
        """Nor do many changes of the roster, which a large group may bring."""
        account = JID.parse(JULIET)
        for number in range(60):
            push = IQ.make(self.juliet.session.jid, account, b"x" * 500, id=str(number), type="set")
            self.juliet.session.deliver(push, push.wire())
        self.assertFalse(self.juliet.closed)
        for number in range(21):
            ask = f"<iq type='set' to='{JULIET}/1' id='{number}'><query xmlns='urn:x'/></iq>"
            self.romeo.send(ask)
        self.assertIn("resource-constraint", self.last_words(self.juliet))

    def test_only_bytes(self) -> None:
        """What is not acknowledged keeps no trees, and counts as the bytes that are kept."""
        inside = "<x xmlns='urn:x'>" + "<a/>" * 1_000 + "</x>"
        self.romeo.send(f"<message to='{JULIET}/1'>{inside}</message>")
        management = self.juliet.session.management
        assert management is not None
        ((stanza, wire, _),) = management.unacknowledged()
        self.assertIsNone(stanza.payload._tree)
        kept = len(wire) + len(stanza.payload.raw)
        self.assertEqual(management.load.all_bytes, kept + OVERHEAD_BYTES)
        self.juliet.send(sm("a", h=1))
        self.assertEqual((management.load.all_bytes, management.load.bytes), (0, 0))


class OfflineMessageTests(ResumptionCase):
    """A client whose connection breaks while it is given what waited in the store."""

    def setUp(self) -> None:
        super().setUp()
        self.juliet.send("</stream:stream>")
        for text in "abc":
            self.romeo.send(message(text))
        self.juliet = self.house.bind("juliet")
        self.previd = self.juliet.enable()
        self.juliet.send("<presence/>")
        self.assertEqual(self.read(self.juliet), ["presence", "presence", "a", "b", "c", "get"])

    def test_resumed(self) -> None:
        """It gets the rest when it comes back; what it has is forgotten at once, the rest with
        its answer.
        """
        self.juliet.abort()
        self.wait(200)
        self.juliet = self.house.logged_in("juliet")
        *told, ping = self.juliet.resume(self.previd, 3)
        self.assertEqual([said(stanza) for stanza in told], ["resumed", "b", "c"])
        self.assertEqual(self.stored(), ["b", "c"])
        (number,) = re.findall(" id='([^']*)'", ping)
        self.juliet.send(f"<iq type='result' id='{number}' to='{DOMAIN}'/>")
        self.assertEqual(self.stored(), [])

    def test_another_resource(self) -> None:
        """While it may come back nobody else gets them; then the next one does, at once."""
        self.juliet.abort()
        other = self.house.bind("juliet", "2")
        other.send("<presence/>")
        self.assertEqual(self.read(other), ["presence", "presence", "presence"])
        self.wait(320)
        self.assertEqual([text for text in self.read(other) if text in "abc"], ["a", "b", "c"])

    def test_acknowledged(self) -> None:
        """What it has acknowledged is forgotten, also if it never comes back."""
        self.juliet.send(sm("a", h=4))
        self.juliet.abort()
        self.wait(320)
        self.assertEqual(self.stored(), ["c"])

    def test_lost_while_read(self) -> None:
        """If the store answers when the connection is lost, they come when it is back."""
        self.juliet.send("</stream:stream>")
        self.juliet = self.house.bind("juliet")
        self.previd = self.juliet.enable()
        self.store.slow = True
        self.juliet.send("<presence/>")
        self.juliet.abort()
        self.store.release_all()
        self.store.slow = False
        self.assertEqual(self.come_back()[-4:], ["a", "b", "c", "get"])


class FollowerTests(ResumptionCase):
    """A follower that stores what an account sends, before its client is told."""

    def setUp(self) -> None:
        super().setUp()
        self.shelf = Shelf()
        followers = self.house.server.followers
        followers.put(self.shelf, "shelf")
        followers.watch(self.shelf, JULIET)

    def ask(self) -> "Deferred[None]":
        """Juliet asks what was handled, and is not told yet."""
        self.shelf.storing = storing = Deferred[None]()
        self.juliet.send(sm("r"))
        self.assertNotIn(b"<a ", self.juliet.raw())
        return storing

    def test_stored(self) -> None:
        """She is told when it is stored; who is not followed does not wait."""
        storing = self.ask()
        self.romeo.enable()
        self.romeo.send(sm("r"))
        self.assertIn(b"<a ", self.romeo.raw())
        storing.callback(None)
        self.assertIn(b"<a ", self.juliet.raw())

    def test_store_fails(self) -> None:
        """If it cannot be stored, it is tried again."""
        self.ask().errback(StoreError("no"))
        self.assertNotIn(b"<a ", self.juliet.raw())
        self.house.clock.advance(60)
        self.assertIn(b"<a ", self.juliet.raw())

    def test_stop(self) -> None:
        """A stop saves sessions only when what follows is held or acknowledged: a message that is
        saved with a session is not held beside that.
        """
        self.romeo.enable()
        self.juliet.send(message("wherefore", ROMEO))
        storing = self.ask()
        held = self.house.server.held_messages
        resting = Deferred.fromCoroutine(held.at_rest())
        self.assertNoResult(resting)
        storing.callback(None)
        self.successResultOf(resting)
        [romeo] = held.sessions.local_sessions(ROMEO)
        assert romeo.management is not None
        self.assertEqual(len(romeo.management.held), 1)

    def test_bug(self) -> None:
        """A bug is logged, and keeps nobody waiting."""
        self.ask().errback(ZeroDivisionError())
        self.assertIn(b"<a ", self.juliet.raw())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
