"""Messages and requests from another server: the same rules, and nothing to learn from refusals."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import ns
from xmppd.store.store import Store
from xmppd.testing.client import Client, Elsewhere, done
from xmppd.testing.house import House

ROMEO, BENVOLIO, JULIET = "romeo@montague.lit", "benvolio@montague.lit", "juliet@capulet.lit"
NOBODY = "nobody@montague.lit"
ITEMS = "http://jabber.org/protocol/disco#items"
PLUGINS = (
    "adhoc_commands", "blocking", "disco", "entity_time", "invisible", "last_activity", "ping",
    "privacy_lists", "private_storage", "register", "vcard", "version",
)  # fmt: skip


class RemoteStanzaTests(SynchronousTestCase):
    """Juliet may see Romeo, but not Benvolio."""

    def setUp(self) -> None:
        self.house = House("montague.lit", plugins=PLUGINS, romeo={JULIET: "both"}, benvolio={})
        self.store: Store = self.house.store
        self.elsewhere = Elsewhere(self.house)

    def connect(self, *names: str) -> list[Client]:
        """Some are available."""
        clients = self.house.connect(*names)
        self.elsewhere.heard()
        return clients

    def message(self, to: str, kind: str = "chat", sender: str = f"{JULIET}/balcony") -> list[str]:
        """Write to somebody; what comes back."""
        self.elsewhere.send(
            f"<message from='{sender}' to='{to}' type='{kind}' id='1'><body>Ay me</body></message>"
        )
        return self.elsewhere.heard()

    def ask(self, to: str, query: str, kind: str = "get", sender: str = f"{JULIET}/b") -> list[str]:
        """Request something; what comes back."""
        self.elsewhere.send(f"<iq from='{sender}' to='{to}' type='{kind}' id='1'>{query}</iq>")
        return self.elsewhere.heard()

    def kept(self, account: str) -> int:
        """How many messages wait."""
        return len(done(self.store.offline.offline_messages(account)))

    def test_message(self) -> None:
        """It goes to the session, to the account, or waits (§8.5)."""
        (romeo,) = self.connect("romeo")
        for to in (ROMEO, f"{ROMEO}/1", f"{ROMEO}/gone"):
            self.assertEqual(self.message(to), [])
            self.assertIn("<body>Ay me</body>", "".join(romeo.received()))
        self.assertEqual(self.message(BENVOLIO, "normal"), [])
        self.assertEqual(self.kept(BENVOLIO), 1)

    def test_refusals(self) -> None:
        """Nobody is there, or nobody exists: where something is answered, it is the same."""
        for to in (BENVOLIO, NOBODY, f"{BENVOLIO}/1", f"{NOBODY}/1"):
            (answer,) = self.message(to, "groupchat")
            self.assertIn("<service-unavailable", answer)
        (answer,) = self.message(NOBODY)
        self.assertIn("<service-unavailable", answer)

    def test_errors(self) -> None:
        """An error is never answered, wherever it goes."""
        for to in (BENVOLIO, NOBODY, f"{BENVOLIO}/1", f"{NOBODY}/1", "montague.lit"):
            self.assertEqual(self.message(to, "error"), [], to)
            for kind in ("error", "result"):
                self.elsewhere.send(f"<iq from='{JULIET}/b' to='{to}' type='{kind}' id='1'/>")
            self.elsewhere.send(f"<presence from='{JULIET}' to='{to}' type='error'/>")
            self.assertEqual(self.elsewhere.heard(), [], to)

    def test_from_a_server(self) -> None:
        """The sender may be a server, which has no local part."""
        (romeo,) = self.connect("romeo")
        self.assertEqual(self.message(ROMEO, "normal", "capulet.lit"), [])
        self.assertIn("from='capulet.lit'", "".join(romeo.received()))
        (answer,) = self.ask("montague.lit", f"<ping xmlns='{ns.PING}'/>", sender="capulet.lit")
        self.assertIn("type='result'", answer)

    def test_request_to_a_session(self) -> None:
        """A request to a full JID is that session's to answer, and its answer goes back."""
        (romeo,) = self.connect("romeo")
        self.assertEqual(self.ask(f"{ROMEO}/1", "<x xmlns='urn:x'/>"), [])
        self.assertIn(f"from='{JULIET}/b'", romeo.received()[0])
        romeo.send(f"<iq to='{JULIET}/b' type='result' id='1'/>")
        answer = f"<iq from='{ROMEO}/1' to='{JULIET}/b' type='result' id='1'/>"
        self.assertEqual(self.elsewhere.heard(), [answer])

    def test_requests_betray_nobody(self) -> None:
        """Whatever is asked of an account that one may not see, it might as well not exist."""
        self.connect("romeo", "benvolio")
        for query in self.house.server.iq_router.handlers:
            namespace, name = query[1:].split("}")
            for kind in ("get", "set"):
                answers = []
                for to in (BENVOLIO, NOBODY):
                    refusal = self.ask(to, f"<{name} xmlns='{namespace}'/>", kind)
                    answers += [answer.replace(to, "?") for answer in refusal]
                with self.subTest(query=query, kind=kind):
                    self.assertEqual(answers[0], answers[1])
                    is_list = (namespace, kind) == (ITEMS, "get")
                    empty = f"<query xmlns='{ITEMS}'/>"
                    self.assertIn(empty if is_list else "<service-unavailable", answers[0])

    def test_blocked(self) -> None:
        """Who is blocked is answered as if there were no such account (PL-3)."""
        (romeo,) = self.connect("romeo")
        romeo.send(
            f"<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'><item jid='{JULIET}'/>"
            "</block></iq>"
        )
        romeo.raw()
        self.elsewhere.heard()
        ping = f"<ping xmlns='{ns.PING}'/>"
        for to, unknown in ((ROMEO, NOBODY), (f"{ROMEO}/1", f"{NOBODY}/1")):
            self.assertEqual(self.alike(self.message(to)), self.alike(self.message(unknown)))
            self.assertEqual(self.alike(self.ask(to, ping)), self.alike(self.ask(unknown, ping)))
        self.assertEqual(romeo.received(), [])

    def alike(self, answers: list[str]) -> list[str]:
        """The answers, whoever they are from."""
        return [answer.replace(ROMEO, "?").replace(NOBODY, "?") for answer in answers]

    def test_contact_is_told_why(self) -> None:
        """A contact that may see the account is told what is wrong with its request."""
        (answer,) = self.ask(ROMEO, f"<query xmlns='{ns.ROSTER}'/>")
        self.assertIn("<forbidden", answer)
