"""The InterceptorManager by itself."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.events import OWNER
from xmppd.session.interceptor_manager import InterceptorManager, PacketInterceptor
from xmppd.stanza import IQ, JID, Condition, Message, Presence, Stanza, StanzaError

ROMEO, JULIET = JID.parse("romeo@montague.lit/1"), JID.parse("juliet@capulet.lit/1")


class Signing(PacketInterceptor):
    """Writes its name into the id of messages in both directions, and of presence going out."""

    incoming_kinds = (Message,)
    outgoing_kinds = (Message, Presence)

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions: list[JID] = []

    def incoming(self, stanza: Stanza, session: JID) -> Stanza:  # type: ignore[override]
        self.sessions.append(session)
        return stanza.make(stanza.to, stanza.sender, id=f"{stanza.id or ''}{self.name}")

    outgoing = incoming  # type: ignore[assignment]


class Refusing(PacketInterceptor):
    """Refuses messages, or drops them without a word."""

    incoming_kinds = outgoing_kinds = (Message,)

    def incoming(self, stanza: Stanza, session: JID) -> None:
        if stanza.id == "drop":
            return
        raise StanzaError(Condition.FORBIDDEN)

    outgoing = incoming


class InterceptorManagerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.interceptors = InterceptorManager()
        self.message = Message.make(JULIET, ROMEO)

    def test_order(self) -> None:
        """Interceptors are asked in the order they came, each with what the last one made."""
        for name in "abc":
            self.interceptors.put(Signing(name), OWNER)
        seen = self.interceptors.come_in(self.message)
        assert seen is not None
        self.assertEqual((seen.id, self.message.id), ("abc", None))

    def test_declared(self) -> None:
        """They are asked for what they declared, and for nothing else."""
        self.interceptors.put(Signing("a"), OWNER)
        for kind, coming, going in ((Message, "a", "a"), (Presence, None, "a"), (IQ, None, None)):
            stanza = kind.make(JULIET, ROMEO)
            came, went = self.interceptors.come_in(stanza), self.interceptors.go_out(stanza, JULIET)
            assert came is not None
            assert went is not None
            self.assertEqual((came.id, went.id), (coming, going))

    def test_session(self) -> None:
        """They are told whose session a stanza comes from, or goes to."""
        signing = Signing("a")
        self.interceptors.put(signing, OWNER)
        self.interceptors.come_in(self.message)
        self.interceptors.go_out(self.message, JULIET)
        self.assertEqual(signing.sessions, [ROMEO, JULIET])

    def test_shared_presence_is_addressed(self) -> None:
        """What goes to many at once is addressed before it is shown."""
        self.interceptors.put(Signing("a"), OWNER)
        seen = self.interceptors.go_out(Presence.make(None, ROMEO), JULIET)
        assert seen is not None
        self.assertEqual(seen.to, JULIET.to_bare())

    def test_refused_coming_in(self) -> None:
        """A refusal on the way in reaches whoever routes; nobody else is asked."""
        signing = Signing("a")
        self.interceptors.put(Refusing(), OWNER)
        self.interceptors.put(signing, OWNER)
        with self.assertRaises(StanzaError):
            self.interceptors.come_in(self.message)
        self.assertIsNone(self.interceptors.come_in(Message.make(JULIET, ROMEO, id="drop")))
        self.assertEqual(signing.sessions, [])

    def test_refused_going_out(self) -> None:
        """On the way out a stanza that is refused or dropped is gone for that session."""
        self.interceptors.put(Refusing(), OWNER)
        for id in ("refuse", "drop"):
            self.assertIsNone(self.interceptors.go_out(Message.make(JULIET, ROMEO, id=id), JULIET))

    def test_removed(self) -> None:
        """One that is gone is asked no more, and the others still are."""
        leave = self.interceptors.put(Signing("a"), OWNER)
        self.interceptors.put(Signing("b"), OWNER)
        leave()
        seen = self.interceptors.come_in(self.message)
        assert seen is not None
        self.assertEqual(seen.id, "b")
