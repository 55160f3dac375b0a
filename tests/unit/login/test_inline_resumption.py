"""Logins that bring stream management, carbons and client state along."""

from twisted.internet.defer import Deferred

from tests.plugins.test_carbons import carbons_of
from tests.unit.login.logins import BIND, LAPTOP, Answer, agent, authenticate, plain
from tests.unit.login.test_fast import ROMEO, TokenCase, by_token, request_token
from xmppd.events import OWNER
from xmppd.login.bind2 import NS as BIND2
from xmppd.stanza import Tree, ns
from xmppd.store.devices import Device, DeviceStore, Token
from xmppd.store.errors import StoreError
from xmppd.store.store import Store
from xmppd.stream.inline_feature import InlineFeature, InlinePlace
from xmppd.stream.stream_feature import Negotiation
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, memory_store

SM = ns.STREAM_MANAGEMENT
ENABLE = f"<enable xmlns='{SM}' resume='true'/>"
CARBONS = "<enable xmlns='urn:xmpp:carbons:2'/>"
INACTIVE = "<inactive xmlns='urn:xmpp:csi:0'/>"


def bind(*inline: str) -> str:
    """A ``<bind/>`` that brings this along."""
    return f"<bind xmlns='{BIND2}'>{''.join(inline)}</bind>"


def resume(previd: str, h: object = 0) -> str:
    """What asks for a session."""
    return f"<resume xmlns='{SM}' previd='{previd}' h='{h}'/>"


def message(text: str, to: str) -> str:
    """A message that says something."""
    return f"<message to='{to}' type='chat'><body>{text}</body></message>"


class InlineCase(TokenCase):
    """Romeo has a session that may be resumed, and Juliet is there."""

    def make(self, store: Store | None = None, **tables: dict[str, object]) -> House:
        house = super().make(store, **tables)
        for plugin in ("carbons", "client_state"):
            done(house.plugins.load(plugin))
        return house

    def setUp(self) -> None:
        super().setUp()
        self.romeo, answer = self.arrive(authenticate(None, bind(ENABLE), agent=agent()))
        self.previd = self.enabled(answer)
        self.jid = answer.identifier
        self.romeo.send("<presence/>")
        self.romeo.raw()
        self.juliet, _ = self.arrive(authenticate(plain("juliet"), BIND, agent=agent(LAPTOP)))

    def arrive(self, words: str) -> tuple[Client, Answer]:
        """Somebody new under TLS, and what is answered to this behind the header."""
        client = self.house.unauthenticated(encrypted=True)
        return client, self.say(words, client)

    def enabled(self, answer: Answer) -> str:
        """The id that came with a login."""
        enabled = answer["success"].find(f"{{{BIND2}}}bound/{{{SM}}}enabled")
        assert enabled is not None, str(answer)
        return enabled.get("id", "")

    def parts(self, answer: Answer) -> list[str]:
        """What a success is made of."""
        return [one.tag.rpartition("}")[2] for one in answer["success"]]

    def bodies(self, answer: Answer) -> list[str | None]:
        """What the messages say."""
        return [one.findtext("{*}body") for one in answer.elements if one.tag.endswith("message")]


class ResumingTests(InlineCase):
    """A session that is resumed instead of bound (:xep:`0198`, :xep:`0388`)."""

    def test_resumed(self) -> None:
        """Success names the session and brings no other; no features, but what it has not got
        follows behind (:xep:`0198`, §9.2).
        """
        self.juliet.send(message("sent", self.jid))
        self.romeo.abort()
        self.juliet.send(message("missed", self.jid))
        romeo, answer = self.arrive(authenticate(None, BIND, resume(self.previd), agent=agent()))
        self.assertEqual(answer.names.count("features"), 1)
        self.assertEqual(answer.names[:2], ["features", "success"])
        self.assertEqual(self.parts(answer), ["authorization-identifier", "resumed"])
        self.assertEqual(answer.identifier, self.jid)
        self.assertEqual(self.bodies(answer), ["sent", "missed"])
        romeo.send(message("here", "juliet@montague.lit"))
        self.assertFalse(romeo.closed)

    def test_counted(self) -> None:
        """Both sides say what they have: nothing is lost, and nothing comes twice."""
        for text in ("one", "two", "three"):
            self.juliet.send(message(text, self.jid))
        management = self.romeo.session.management
        assert management is not None
        handled = management.handled
        sent = len(management.unacknowledged())
        self.romeo.abort()
        _, answer = self.arrive(authenticate(None, resume(self.previd, sent - 1), agent=agent()))
        self.assertEqual(self.bodies(answer), ["three"])
        resumed = answer["success"].find(f"{{{SM}}}resumed")
        assert resumed is not None
        self.assertEqual(resumed.get("h"), str(handled))

    def test_by_token(self) -> None:
        """A token and the session's id bring a device back in one round trip."""
        token = self.token()
        self.romeo.abort()
        self.juliet.send(message("missed", self.jid))
        romeo, answer = self.arrive(by_token(token, BIND, resume(self.previd), count="1"))
        self.assertEqual(answer.identifier, self.jid)
        self.assertEqual(self.bodies(answer), ["missed"])
        connections = self.house.server.client_connections
        self.assertNotIn(romeo.handler, connections.unauthenticated)
        self.assertFalse(connections.login_queue.is_in_progress(romeo.handler))

    def test_newest_login(self) -> None:
        """The session is that of the newest login; nobody sees the device of an earlier one."""
        token = self.token()
        self.romeo.abort()
        self.arrive(by_token(token, resume(self.previd)))
        (session,) = self.house.server.session_manager.local_sessions(ROMEO)
        assert session.login is not None
        self.assertEqual(session.login.mechanism, "HT-SHA-256-NONE")

    def test_wire_seems_alive(self) -> None:
        """The old wire is told that the session goes on elsewhere; the session is the same."""
        session = self.romeo.session
        romeo, answer = self.arrive(authenticate(None, resume(self.previd), agent=agent()))
        self.assertEqual(answer.identifier, self.jid)
        self.assertIn(b"<conflict ", self.romeo.raw())
        self.assertIs(romeo.session, session)
        self.assertFalse(romeo.closed)

    def test_not_found(self) -> None:
        """Who cannot resume is told so, and bound: nobody asks a second time."""
        self.romeo.abort()
        for previd in ("never", "&lt;&amp;", ""):
            _, answer = self.arrive(authenticate(None, BIND, resume(previd)))
            self.assertEqual(self.parts(answer), ["authorization-identifier", "failed", "bound"])
            self.assertIn("/Balcony/", answer.identifier)

    def test_ended(self) -> None:
        """Of a session that has ended, its client learns how much was handled."""
        management = self.romeo.session.management
        assert management is not None
        self.juliet.send(message("wait", self.jid))
        self.romeo.send("</stream:stream>")
        _, answer = self.arrive(authenticate(None, BIND, resume(self.previd), agent=agent()))
        failed = answer["success"].find(f"{{{SM}}}failed")
        assert failed is not None
        self.assertEqual(failed.get("h"), str(management.handled))

    def test_somebody_elses(self) -> None:
        """The session of another account is not there; its owner keeps it."""
        self.romeo.abort()
        words = authenticate(plain("juliet"), BIND, resume(self.previd), agent=agent(LAPTOP))
        _, answer = self.arrive(words)
        self.assertEqual(self.parts(answer), ["authorization-identifier", "failed", "bound"])
        failed = answer["success"].find(f"{{{SM}}}failed")
        assert failed is not None
        self.assertIsNone(failed.get("h"))
        self.assertTrue(answer.identifier.startswith("juliet@"))
        _, answer = self.arrive(authenticate(None, resume(self.previd), agent=agent()))
        self.assertEqual(answer.identifier, self.jid)

    def test_restarted(self) -> None:
        """So it is behind a restart: token and session outlive it, and its carbons with it."""
        romeo, answer = self.arrive(authenticate(None, bind(ENABLE, CARBONS), agent=agent(LAPTOP)))
        previd, jid = self.enabled(answer), answer.identifier
        token = self.token()
        self.juliet.send(message("before", jid))
        self.house = self.house.restarted()
        romeo, answer = self.arrive(by_token(token, BIND, resume(previd), request_token()))
        self.assertEqual(answer.identifier, jid)
        self.assertEqual(self.bodies(answer), ["before"])
        self.assertTrue(carbons_of(self.house).is_enabled(romeo.session))
        self.assertEqual(romeo.session.account, romeo.session.jid.to_bare())

    def test_store_fails(self) -> None:
        """If the token that was asked for cannot be stored, the session is resumed without it."""

        class Broken(DeviceStore):
            async def add_token(
                self, account: str, device: Device, token: Token, *, max_devices: int
            ) -> None:
                raise StoreError("the disk is gone")

        store = memory_store()
        store.devices = Broken(store.database)
        self.house = self.make(store)
        _, answer = self.arrive(authenticate(None, bind(ENABLE), agent=agent(LAPTOP)))
        previd, jid = self.enabled(answer), answer.identifier
        words = authenticate(None, resume(previd), request_token(), agent=agent())
        _, answer = self.arrive(words)
        self.assertEqual((answer.identifier, self.token_of(answer)), (jid, ""))

    def test_makes_room(self) -> None:
        """Who resumes takes no place from those who log in: its own is free at once."""
        connections = self.house.server.client_connections
        self.juliet.send("<presence/>")
        before = connections.login_queue.in_progress
        for _ in range(20):
            self.romeo.abort()
            self.romeo, _ = self.arrive(authenticate(None, resume(self.previd), agent=agent()))
        self.assertEqual(connections.login_queue.in_progress, before)
        self.assertNotIn(self.romeo.handler, connections.unauthenticated)

    def test_wrong_password(self) -> None:
        """Who proves nothing resumes nothing, and takes no session from its wire."""
        self.say(authenticate(plain(password="no"), BIND, resume(self.previd)))
        self.assertFalse(self.romeo.closed)

    def test_lost_meanwhile(self) -> None:
        """A wire that is lost before its success has no say in a session that has gone on."""
        turns: list[Deferred[bytes]] = [Deferred(), Deferred()]
        waits = iter(turns)

        def wait(negotiation: Negotiation, tree: Tree) -> Deferred[bytes]:
            return next(waits)

        self.house.server.inline_features.put(
            InlineFeature(InlinePlace.AUTHENTICATE, lambda negotiation: b"", (("{urn:x}x", wait),)),
            OWNER,
        )
        self.romeo.abort()
        self.juliet.send(message("missed", self.jid))
        words = authenticate(None, resume(self.previd), "<x xmlns='urn:x'/>", agent=agent())
        lost, _ = self.arrive(words)
        lost.abort()
        romeo, _ = self.arrive(words)
        turns[0].callback(b"")
        self.assertEqual(romeo.raw(), b"")
        turns[1].callback(b"")
        answer = Answer(romeo.raw())
        self.assertEqual(answer.names[0], "success")
        self.assertNotIn("features", answer.names)
        self.assertEqual(self.bodies(answer), ["missed"])


class HostileTests(InlineCase):
    """What nobody should ask for."""

    def test_garbage(self) -> None:
        """A resume that makes no sense is refused, and the login goes on."""
        for garbage in (
            f"<resume xmlns='{SM}'/>",
            resume(self.previd, "-1"),
            resume(self.previd, 2**32),
            resume(self.previd, "1e3"),
            f"<resume xmlns='{SM}' h='0'><resume xmlns='{SM}' h='0'/></resume>",
        ):
            with self.subTest(garbage=garbage):
                _, answer = self.arrive(authenticate(None, BIND, garbage))
                parts = ["authorization-identifier", "failed", "bound"]
                self.assertEqual(self.parts(answer), parts)
        self.assertFalse(self.romeo.closed)

    def test_unknown(self) -> None:
        """What nobody knows is passed over, wherever it stands."""
        strange = "<resume xmlns='urn:strange'/><enable/><r xmlns='urn:xmpp:sm:3'/>"
        _, answer = self.arrive(authenticate(None, strange, bind(strange)))
        self.assertEqual(self.parts(answer), ["authorization-identifier", "bound"])

    def test_too_high(self) -> None:
        """Who says it got what it was never sent is told so, and the session sleeps on."""
        self.romeo.abort()
        _, answer = self.arrive(authenticate(None, BIND, resume(self.previd, 4_000_000_000)))
        self.assertEqual(answer.stream_error, "undefined-condition")
        self.assertNotIn("success", answer.names)
        _, answer = self.arrive(authenticate(None, resume(self.previd), agent=agent()))
        self.assertEqual(answer.identifier, self.jid)

    def test_two(self) -> None:
        """Who asks for two sessions in one login is heard once."""
        _, second = self.arrive(authenticate(None, bind(ENABLE), agent=agent(LAPTOP)))
        both = resume(self.previd) + resume(self.enabled(second))
        _, answer = self.arrive(authenticate(None, BIND, both, agent=agent()))
        self.assertEqual(self.parts(answer), ["authorization-identifier", "resumed"])
        self.assertEqual(answer.identifier, self.jid)
        self.assertEqual(len(list(self.house.server.session_manager.local_sessions(ROMEO))), 2)

    def test_enable_as_well(self) -> None:
        """What would come with a new session is not done to one that was resumed."""
        self.romeo.abort()
        words = authenticate(None, resume(self.previd), bind(ENABLE, CARBONS), agent=agent())
        romeo, answer = self.arrive(words)
        self.assertEqual(self.parts(answer), ["authorization-identifier", "resumed"])
        self.assertFalse(carbons_of(self.house).is_enabled(romeo.session))
        romeo.abort()
        _, answer = self.arrive(authenticate(None, resume("no"), bind(ENABLE), agent=agent(LAPTOP)))
        self.assertTrue(self.enabled(answer))

    def test_flood(self) -> None:
        """A session that many wires ask for is on the last of them, and is the only one."""
        wires = [self.arrive(authenticate(None, resume(self.previd), agent=agent()))[0]
                 for _ in range(50)]  # fmt: skip
        self.assertEqual([wire.closed for wire in wires], [True] * 49 + [False])
        self.assertEqual(len(list(self.house.server.session_manager.local_sessions(ROMEO))), 1)
        self.assertEqual(len(self.house.server.resumable_sessions), 0)
        self.juliet.send(message("once", self.jid))
        self.assertEqual(wires[-1].raw().count(b"once"), 1)


class BindingTests(InlineCase):
    """What a session begins with (:xep:`0386`)."""

    def test_all_of_it(self) -> None:
        """Carbons, rest and acknowledgements begin with the session, in one round trip."""
        words = authenticate(None, bind(ENABLE, CARBONS, INACTIVE), agent=agent(LAPTOP))
        romeo, answer = self.arrive(words)
        self.assertEqual(answer.names, ["features", "success", "features"])
        self.assertTrue(self.enabled(answer))
        self.assertTrue(carbons_of(self.house).is_enabled(romeo.session))
        self.assertTrue(romeo.session.inactive)

    def test_offered_once(self) -> None:
        """What came with the login is not offered again behind it; what did not come, is."""
        for wishes, names in (
            ((bind(ENABLE),), ()),
            ((bind(),), ("sm",)),
            ((), ("bind", "session", "sm")),
            ((resume("no"), bind(ENABLE)), ()),
            ((resume("no"),), ("bind", "session", "sm")),
        ):
            with self.subTest(wishes=wishes):
                _, answer = self.arrive(authenticate(None, *wishes, agent=agent(LAPTOP)))
                offered = [one.tag.rpartition("}")[2] for one in answer.elements[2]]
                once = [name for name in offered if name in ("bind", "session", "sm")]
                self.assertEqual(once, list(names))

    def test_counts_from_there(self) -> None:
        """What comes behind the login in the same breath is counted, the login is not."""
        words = authenticate(None, bind(ENABLE), agent=agent(LAPTOP))
        _, answer = self.arrive(f"{words}<presence/><r xmlns='{SM}'/>")
        self.assertEqual(answer["a"].get("h"), "1")

    def test_rest_before_presence(self) -> None:
        """Who rests from the beginning is still told at once who is here."""
        words = authenticate(None, bind(INACTIVE), agent=agent(LAPTOP))
        _, answer = self.arrive(f"{words}<presence/>")
        senders = [one.get("from") for one in answer.elements if one.tag.endswith("presence")]
        self.assertIn(self.jid, senders)
