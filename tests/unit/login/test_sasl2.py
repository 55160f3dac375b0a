"""SASL2, Bind 2 and what is negotiated inside of them, as a client sees it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.auth.support import ScramClient
from tests.unit.login.logins import (
    BIND,
    HEADER,
    LAPTOP,
    PHONE,
    Answer,
    agent,
    authenticate,
    plain,
    response,
)
from xmppd.events import OWNER
from xmppd.login.bind2 import NS as BIND2
from xmppd.login.sasl2 import MAX_AGENT_TEXT_LENGTH
from xmppd.login.sasl2 import NS as SASL2
from xmppd.plugin.place import AtUnload
from xmppd.session.session_manager import wanted
from xmppd.stanza import Tree, ns
from xmppd.store.errors import StoreError
from xmppd.store.rosters import RosterData, RosterStore
from xmppd.store.store import Store
from xmppd.stream.bound_extra import BoundExtra
from xmppd.stream.inline_feature import InlineFeature, InlinePlace, bind_feature
from xmppd.stream.stream_feature import Negotiation
from xmppd.testing.client import Client, done
from xmppd.testing.house import PASSWORD, House, house_config, memory_store


class LoginCase(SynchronousTestCase):
    """A house where Romeo and Juliet have passwords."""

    def setUp(self) -> None:
        self.house = self.make()

    def make(self, store: Store | None = None, **tables: dict[str, object]) -> House:
        """A house, configured like that."""
        house = House(config=house_config("montague.lit", **tables), store=store)
        for name in ("romeo", "juliet"):
            done(house.server.passwords.create(f"{name}@montague.lit", PASSWORD))
        return house

    def say(self, *words: str, client: Client | None = None) -> Answer:
        """What is answered to somebody new who says this in one go, or to somebody known."""
        if client is None:
            client = self.house.unauthenticated()
            words = (HEADER, *words)
        client.send("".join(words))
        return Answer(client.raw())


class FeatureTests(LoginCase):
    """What is offered."""

    def test_offered(self) -> None:
        """SASL2 is offered beside SASL, with the same mechanisms, and Bind 2 always with it."""
        features = self.say()["features"]
        authentication = features.find(f"{{{SASL2}}}authentication")
        assert authentication is not None
        classic = features.find(f"{{{ns.SASL}}}mechanisms")
        assert classic is not None
        self.assertEqual([one.text for one in authentication.findall(f"{{{SASL2}}}mechanism")],
                         [one.text for one in classic])  # fmt: skip
        self.assertIn("SCRAM-SHA-1", [one.text for one in classic])
        self.assertIsNotNone(authentication.find(f"{{{SASL2}}}inline/{{{BIND2}}}bind"))

    def test_tls(self) -> None:
        """Where TLS is required, SASL2 is neither offered nor taken before it is on."""
        self.house = self.make(tls={"required": True})
        answer = self.say(authenticate())
        self.assertEqual(len(answer["features"]), 0)
        self.assertEqual(answer.stream_error, "not-authorized")

    def test_no_plus(self) -> None:
        """Without anything to bind to, neither -PLUS nor types of binding are announced."""
        text = str(self.say())
        self.assertNotIn("-PLUS", text)
        self.assertNotIn("channel-binding", text)


class ExchangeTests(LoginCase):
    """Proving who one is."""

    def test_plain(self) -> None:
        """Without inline binding, success brings the bare JID and fresh features; no restart."""
        client = self.house.unauthenticated()
        answer = self.say(HEADER, authenticate(), client=client)
        self.assertEqual(answer.names, ["features", "success", "features"])
        self.assertEqual(answer.identifier, "romeo@montague.lit")
        features = answer.elements[-1]
        self.assertIsNotNone(features.find(f"{{{ns.BIND}}}bind"))
        self.assertIsNone(features.find(f"{{{SASL2}}}authentication"))
        client.send(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq>")
        self.assertIn(b"<jid>romeo@montague.lit/", client.raw())

    def test_scram(self) -> None:
        """SCRAM goes in two steps, and proves the server too; SCRAM-SHA-1 is still there."""
        for hash in ("SHA-1", "SHA-256", "SHA-512"):
            scram = ScramClient(hash, username="romeo", password=PASSWORD)
            client = self.house.unauthenticated()
            first = authenticate(scram.first(), mechanism=f"SCRAM-{hash}")
            challenge = self.say(HEADER, first, client=client).challenge
            answer = self.say(response(scram.final(challenge)), client=client)
            self.assertTrue(scram.accepts(answer.additional))
            login = client.session.login
            assert login is not None
            self.assertEqual((login.mechanism, login.binding), (f"SCRAM-{hash}", ""))

    def test_no_initial_response(self) -> None:
        """Who sends no first message is asked for it."""
        client = self.house.unauthenticated()
        begin = f"<authenticate xmlns='{SASL2}' mechanism='PLAIN'/>"
        self.assertEqual(self.say(HEADER, begin, client=client).challenge, b"")
        answer = self.say(response(plain().encode()), client=client)
        self.assertEqual(answer.identifier, "romeo@montague.lit")

    def test_whitespace(self) -> None:
        """A message may be written with space around it, as in the XEP's examples."""
        self.assertIn("success", self.say(authenticate().replace("=<", "=\n  <")).names)

    def test_refusals(self) -> None:
        """Each mistake has a name of its own, and the stream goes on."""
        for sent, condition in (
            (authenticate(mechanism="GSSAPI"), "invalid-mechanism"),
            (authenticate("nonsense"), "malformed-request"),
            (authenticate(plain(password="no")), "not-authorized"),
            (authenticate(plain("nobody")), "not-authorized"),
            (authenticate().replace("<initial-response>", "<initial-response>!"),
             "incorrect-encoding"),
            (response(b""), "malformed-request"),
            (f"<abort xmlns='{SASL2}'/>", "aborted"),
        ):  # fmt: skip
            with self.subTest(condition=condition):
                client = self.house.unauthenticated()
                self.assertEqual(self.say(HEADER, sent, client=client).failure, condition)
                self.assertFalse(client.closed)

    def test_too_many(self) -> None:
        """Failures by either profile count, and the third closes the stream."""
        client = self.house.unauthenticated()
        classic = f"<auth xmlns='{ns.SASL}' mechanism='GSSAPI'>=</auth>"
        wrong = authenticate(mechanism="GSSAPI")
        answer = self.say(HEADER, wrong, classic, wrong, client=client)
        self.assertEqual(answer.names, ["features", *["failure"] * 3, "error"])
        self.assertEqual(answer.stream_error, "policy-violation")

    def test_failure_binds_nothing(self) -> None:
        """What came with a login that failed is not done."""
        answer = self.say(authenticate(plain(password="no"), BIND))
        self.assertEqual(answer.names, ["features", "failure"])
        self.assertEqual(self.house.server.session_manager.bound, 0)

    def test_header_of_another(self) -> None:
        """Who opened the stream as one account does not log in as another."""
        header = HEADER.replace(" to=", " from='juliet@montague.lit' to=")
        client = self.house.unauthenticated()
        answer = self.say(header, authenticate(), client=client)
        self.assertEqual(answer.failure, "invalid-authzid")
        own = header.replace("juliet", "ROMEO")
        answer = self.say(own, authenticate(), client=self.house.unauthenticated())
        self.assertEqual(answer.identifier, "romeo@montague.lit")

    def test_exchange_underway(self) -> None:
        """While an exchange waits for its answer, no other begins."""
        begin = f"<authenticate xmlns='{SASL2}' mechanism='PLAIN'/>"
        self.assertEqual(self.say(begin, begin).stream_error, "policy-violation")

    def test_profiles_do_not_mix(self) -> None:
        """An exchange goes on in the profile it began in."""
        begin = f"<authenticate xmlns='{SASL2}' mechanism='PLAIN'/>"
        other = f"<response xmlns='{ns.SASL}'>AHJvbWVvAA==</response>"
        answer = self.say(begin, other)
        self.assertEqual(answer.names, ["features", "challenge", "failure"])
        self.assertIn("malformed-request", str(answer))

    def test_only_once(self) -> None:
        """Who has logged in does not do so again."""
        self.assertEqual(self.say(authenticate(), authenticate()).stream_error, "not-authorized")
        self.assertEqual(
            self.say(authenticate(None, BIND), response(b"")).stream_error, "not-authorized"
        )

    def test_stanzas_before(self) -> None:
        """No stanza goes before the login is complete."""
        begin = f"<authenticate xmlns='{SASL2}' mechanism='PLAIN'/>"
        self.assertEqual(self.say(begin, "<presence/>").stream_error, "not-authorized")

    def test_too_large(self) -> None:
        """A login is no larger than what strangers may say."""
        answer = self.say(authenticate("x" * 11_000))
        self.assertEqual(answer.stream_error, "policy-violation")


class UserAgentTests(LoginCase):
    """Who logs in, as it describes itself."""

    def described(self, user_agent: str) -> tuple[str, str, str]:
        """What is known of a client that says this of itself."""
        client = self.house.unauthenticated()
        self.say(HEADER, authenticate(agent=user_agent), client=client)
        login = client.session.login
        assert login is not None
        return login.agent.id, login.agent.software, login.agent.device

    def test_kept(self) -> None:
        """It is kept with the session."""
        self.assertEqual(self.described(agent(PHONE.upper())), (PHONE, "Balcony", "phone"))
        self.assertEqual(self.described(""), ("", "", ""))

    def test_bounded(self) -> None:
        """It is short and on one line; what is no UUID is no id."""
        long = "x" * 3_000
        id, software, device = self.described(agent(long, "a\nb\u202ec", long))
        self.assertEqual((id, software), ("", "a b c"))
        self.assertEqual(len(device), MAX_AGENT_TEXT_LENGTH)


class BindTests(LoginCase):
    """Bind 2."""

    def bound(self, *words: str) -> str:
        """The full JID of somebody new who says this."""
        return self.say(*words).identifier

    def test_full_jid(self) -> None:
        """The authorization identifier is the full JID; no binding is offered any more."""
        client = self.house.unauthenticated()
        answer = self.say(HEADER, authenticate(None, BIND), client=client)
        self.assertEqual(answer.names, ["features", "success", "features"])
        self.assertTrue(answer.identifier.startswith("romeo@montague.lit/Balcony/"))
        self.assertIsNotNone(answer["success"].find(f"{{{BIND2}}}bound"))
        self.assertIsNone(answer.elements[-1].find(f"{{{ns.BIND}}}bind"))
        client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        self.assertIn(f"to='{answer.identifier}'".encode(), client.raw())

    def test_stable(self) -> None:
        """A client has the same resource each time it comes, and does not give its id away."""
        first = self.bound(authenticate(None, BIND, agent=agent()))
        self.assertEqual(self.bound(authenticate(None, BIND, agent=agent())), first)
        self.assertNotIn(PHONE, first)
        others = {
            self.bound(authenticate(None, BIND, agent=agent(LAPTOP))),
            self.bound(authenticate(plain("juliet"), BIND, agent=agent())).partition("@")[2],
            self.bound(authenticate(None, BIND.replace("Balcony", "Garden"), agent=agent())),
            self.bound(authenticate(None, BIND)),
            self.bound(authenticate(None, BIND)),
        }
        self.assertEqual(len(others | {first, first.partition("@")[2]}), 7)

    def test_earlier_session(self) -> None:
        """What the same client has left behind ends, whatever the policy for conflicts is."""
        for conflict in ("kick", "refuse", "rename"):
            self.house = self.make(sessions={"conflict": conflict})
            client, other = self.house.unauthenticated(), self.house.unauthenticated()
            self.say(HEADER, authenticate(None, BIND, agent=agent()), client=client)
            self.say(HEADER, authenticate(None, BIND, agent=agent(LAPTOP)), client=other)
            jid = client.session.jid.full
            self.assertEqual(self.bound(authenticate(None, BIND, agent=agent())), jid)
            self.assertTrue(client.closed)
            self.assertFalse(other.closed)
            self.assertIn(b"<conflict", client.raw())

    def test_tags(self) -> None:
        """A tag that no resource can have is left out, and a long one is cut."""
        bad = self.bound(authenticate(None, f"<bind xmlns='{BIND2}'><tag>a\u06ddb</tag></bind>"))
        self.assertEqual(bad.count("/"), 1)
        none = self.bound(authenticate(None, f"<bind xmlns='{BIND2}'/>"))
        self.assertEqual(none.count("/"), 1)
        long = f"<bind xmlns='{BIND2}'><tag>{'x' * 5_000}</tag></bind>"
        self.assertIn(f"/{'x' * 64}/", self.bound(authenticate(None, long)))

    def test_no_room(self) -> None:
        """Who cannot be bound has logged in all the same, and is told why by binding as of old."""
        self.house = self.make(sessions={"max_per_account": 1})
        self.bound(authenticate(None, BIND))
        client = self.house.unauthenticated()
        answer = self.say(HEADER, authenticate(None, BIND), client=client)
        self.assertEqual(answer.identifier, "romeo@montague.lit")
        self.assertIsNone(answer["success"].find(f"{{{BIND2}}}bound"))
        self.assertIsNotNone(answer.elements[-1].find(f"{{{ns.BIND}}}bind"))
        client.send(f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'/></iq>")
        self.assertIn(b"<resource-constraint", client.raw())

    def test_lost_meanwhile(self) -> None:
        """Who is gone before the roster is read is bound to nothing."""
        roster: Deferred[RosterData] = Deferred()

        class Slow(RosterStore):
            async def roster(self, account: str) -> RosterData:
                return await roster

        store = memory_store()
        store.rosters = Slow(store.database)
        self.house = self.make(store=store)
        client = self.house.unauthenticated()
        client.send(HEADER + authenticate(None, BIND))
        client.abort()
        roster.callback(RosterData(0, ()))
        self.assertEqual(self.house.server.session_manager.bound, 0)
        self.assertEqual(self.house.server.session_manager.sessions, {})


@dataclass
class Nap:
    """A small feature: a session that begins asleep is said goodnight to, behind all else."""

    detached: list[str] = field(default_factory=list)

    def parts(self) -> list[InlineFeature | AtUnload]:
        """What it is made of."""
        advertise = bind_feature("urn:nap").advertise
        elements = (("{urn:nap}sleep", self.sleep), ("{urn:nap}wake", lambda n, tree: b""))
        return [
            InlineFeature(InlinePlace.BIND, advertise, elements, self.goodnight),
            AtUnload(self.detached.clear),
        ]

    def sleep(self, negotiation: Negotiation, tree: Tree) -> bytes:
        """Note who sleeps, by the address it has by then."""
        self.detached.append(negotiation.session.jid.full)
        return b"<asleep xmlns='urn:nap'/>"

    def goodnight(self, negotiation: Negotiation) -> None:
        """The last word."""
        negotiation.write(b"<goodnight xmlns='urn:nap'/>")


class InlineTests(LoginCase):
    """What parts of the server and plugins bring into a login."""

    SLEEP = f"<bind xmlns='{BIND2}'><sleep xmlns='urn:nap'/><sleep xmlns='urn:nap'/></bind>"

    def setUp(self) -> None:
        super().setUp()
        self.nap = Nap()
        for part in self.nap.parts():
            if isinstance(part, InlineFeature):
                self.house.server.inline_features.put(part, OWNER)

    def test_offered(self) -> None:
        """Bind 2 lists what may be negotiated with it."""
        inline = f".//{{{BIND2}}}bind/{{{BIND2}}}inline/{{{BIND2}}}feature"
        features = self.say()["features"].findall(inline)
        self.assertEqual([feature.get("var") for feature in features], ["urn:xmpp:sm:3", "urn:nap"])

    def test_taken(self) -> None:
        """It is taken once, with the full JID; its answer is in bound, and its last word last."""
        answer = self.say(authenticate(None, self.SLEEP))
        self.assertEqual(answer.names, ["features", "success", "features", "goodnight"])
        bound = answer["success"].find(f"{{{BIND2}}}bound")
        assert bound is not None
        self.assertEqual([one.tag for one in bound], ["{urn:nap}asleep"])
        self.assertEqual(self.nap.detached, [answer.identifier])

    def test_not_asked(self) -> None:
        """Nobody gets what was not asked for, or asked for in a login that failed."""
        self.say(authenticate(None, BIND))
        self.say(authenticate(plain(password="no"), self.SLEEP))
        self.assertEqual(self.nap.detached, [])

    def test_extras(self) -> None:
        """What a plugin says of every binding stands in bound before what was asked for, and is
        made when the session can be reached.
        """
        seen: list[str] = []

        @asynccontextmanager
        async def around(negotiation: Negotiation) -> AsyncIterator[Callable[[], bytes]]:
            def made() -> bytes:
                return f"<jid xmlns='urn:extra'>{negotiation.session.jid}</jid>".encode()

            seen.append("before")
            try:
                yield made
            finally:
                seen.append("behind")

        take_out = self.house.server.bound_extras.put(BoundExtra(around), "test")
        answer = self.say(authenticate(None, self.SLEEP))
        bound = answer["success"].find(f"{{{BIND2}}}bound")
        assert bound is not None
        self.assertEqual([one.tag for one in bound], ["{urn:extra}jid", "{urn:nap}asleep"])
        self.assertEqual(bound[0].text, answer.identifier)
        self.say(authenticate(None, "<bind xmlns='urn:xmpp:other'/>"))
        self.assertEqual(seen, ["before", "behind"])
        take_out()
        self.assertNotIn("urn:extra", str(self.say(authenticate(None, BIND))))

    def test_extras_fail(self) -> None:
        """An extra that fails is left out, and the others are there."""

        class Fails(AbstractAsyncContextManager[Callable[[], bytes]]):
            def __init__(self, error: Exception) -> None:
                self.error = error

            async def __aenter__(self) -> Callable[[], bytes]:
                raise self.error

            async def __aexit__(self, *error: object) -> None:
                """Never called."""

        @asynccontextmanager
        async def later(negotiation: Negotiation) -> AsyncIterator[Callable[[], bytes]]:
            def fails() -> bytes:
                raise RuntimeError("later")

            yield fails

        @asynccontextmanager
        async def good(negotiation: Negotiation) -> AsyncIterator[Callable[[], bytes]]:
            yield lambda: b"<good xmlns='urn:x'/>"

        at_once, stored = Fails(RuntimeError("at once")), Fails(StoreError("it is away"))
        for around in (lambda _: at_once, later, lambda _: stored, good):
            self.house.server.bound_extras.put(BoundExtra(around), "test")
        bound = self.say(authenticate(None, BIND))["success"].find(f"{{{BIND2}}}bound")
        assert bound is not None
        self.assertEqual([one.tag for one in bound], ["{urn:x}good"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def test_extras_without_binding(self) -> None:
        """If no resource can be bound, extras are left all the same."""
        left: list[bool] = []

        @asynccontextmanager
        async def around(negotiation: Negotiation) -> AsyncIterator[Callable[[], bytes]]:
            try:
                yield bytes
            finally:
                left.append(negotiation.session.bound)

        self.house = self.make(sessions={"max_per_account": 1})
        self.house.server.bound_extras.put(BoundExtra(around), "test")
        self.say(authenticate(None, BIND))
        answer = self.say(authenticate(None, BIND))
        self.assertIsNone(answer["success"].find(f"{{{BIND2}}}bound"))
        self.assertEqual(left, [True, False])

    def test_instead_of_binding(self) -> None:
        """If a session has a resource by then, binding is left out: so it is for what resumes."""

        def resume(negotiation: Negotiation, tree: Tree) -> bytes:
            session = negotiation.session
            self.house.server.session_manager.bind(session, wanted(session, "grave"))
            return b"<resumed xmlns='urn:grave'/>"

        self.house.server.inline_features.put(
            InlineFeature(
                InlinePlace.AUTHENTICATE,
                lambda negotiation: b"<rise xmlns='urn:grave'/>",
                (("{urn:grave}rise", resume),),
            ),
            OWNER,
        )
        answer = self.say(authenticate(None, BIND, "<rise xmlns='urn:grave'/>"))
        self.assertIsNotNone(answer.elements[0].find(".//{urn:grave}rise"))
        self.assertEqual(answer.identifier, "romeo@montague.lit/grave")
        self.assertIsNotNone(answer["success"].find("{urn:grave}resumed"))
        self.assertIsNone(answer["success"].find(f"{{{BIND2}}}bound"))

    def test_binding_after_all(self) -> None:
        """If it fails, its answer is told, and binding goes on: nobody asks a second time."""
        failed = b"<failed xmlns='urn:grave' h='7'/>"
        self.house.server.inline_features.put(
            InlineFeature(
                InlinePlace.AUTHENTICATE,
                lambda negotiation: b"",
                (("{urn:grave}rise", lambda negotiation, tree: failed),),
            ),
            OWNER,
        )
        answer = self.say(authenticate(None, BIND, "<rise xmlns='urn:grave'/>"))
        self.assertEqual([one.tag.partition("}")[2] for one in answer["success"]],
                         ["authorization-identifier", "failed", "bound"])  # fmt: skip
        self.assertIn("/Balcony/", answer.identifier)

    def test_waits(self) -> None:
        """What is asked for in a login may wait, and success waits for it."""
        ready: Deferred[bytes] = Deferred()
        self.house.server.inline_features.put(
            InlineFeature(
                InlinePlace.AUTHENTICATE,
                lambda negotiation: b"",
                (("{urn:x}x", lambda n, t: ready),),
            ),
            OWNER,
        )
        client = self.house.unauthenticated()
        self.say(HEADER, authenticate(None, "<x xmlns='urn:x'/>"), client=client)
        self.assertEqual(client.raw(), b"")
        ready.callback(b"<y xmlns='urn:x'/>")
        self.assertIsNotNone(Answer(client.raw())["success"].find("{urn:x}y"))

    def test_plugin_fails(self) -> None:
        """A plugin that fails in a login has nothing to say; the login goes on."""

        def fail(negotiation: Negotiation, tree: Tree) -> bytes:
            raise LookupError

        async def fail_later(negotiation: Negotiation, tree: Tree) -> bytes:
            raise LookupError

        def written(negotiation: Negotiation) -> None:
            raise LookupError

        def advertise(negotiation: Negotiation) -> bytes:
            raise LookupError

        for take in (fail, fail_later):
            elements = (("{urn:x}x", take),)
            part = InlineFeature(InlinePlace.AUTHENTICATE, advertise, elements, written)
            leave = self.house.server.inline_features.put(part, "x")
            with capturedLogs() as events:
                answer = self.say(authenticate(None, "<x xmlns='urn:x'/>"))
            self.assertEqual(answer.names, ["features", "success", "features"])
            self.assertEqual(len(events), len([e for e in events if "log_format" in e]))
            leave()
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 6)


class EarlyDataTests(LoginCase):
    """What comes right behind the header, before our answer can have been read."""

    def test_garbage(self) -> None:
        """Garbage behind the header ends the stream with the error for it, and nobody else's."""
        other = self.house.unauthenticated()
        self.say(HEADER, authenticate(plain("juliet"), BIND), client=other)
        for garbage, condition in (
            ("\0\1\2", "bad-format"),
            ("<authenticate xmlns='urn:xmpp:sasl:2'><<>>", "not-well-formed"),
            ("<!-- early -->", "restricted-xml"),
            ("<nonsense xmlns='urn:x'/>", "unsupported-stanza-type"),
            ("<authenticate/>", "unsupported-stanza-type"),
            (response(b"x" * 20_000), "policy-violation"),
        ):
            with self.subTest(garbage=garbage[:40]):
                client = self.house.unauthenticated()
                answer = self.say(HEADER, garbage, client=client)
                self.assertEqual(answer.names[0], "features")
                self.assertEqual(answer.stream_error, condition)
                self.assertTrue(client.closed)
        self.assertFalse(other.closed)

    def test_in_pieces(self) -> None:
        """It may come a byte at a time."""
        client = self.house.unauthenticated()
        for character in HEADER + authenticate(None, BIND):
            client.send(character)
        self.assertEqual(Answer(client.raw()).names, ["features", "success", "features"])

    def test_and_more(self) -> None:
        """A client may go on without waiting for us at all."""
        roster = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq><presence/>"
        answer = self.say(authenticate(None, BIND), roster)
        self.assertEqual(answer.names[:4], ["features", "success", "features", "iq"])
