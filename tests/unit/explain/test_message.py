"""What becomes of a message: each answer is proved by sending one."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.test_blocking import command
from tests.plugins.test_carbons import carbons_of
from tests.plugins.test_privacy_lists import denied, listed, put, use
from tests.unit.s2s.peers import Elsewhere
from xmppd.explain.finding import Finding
from xmppd.explain.message import explain_message
from xmppd.resolve.lost import no_stream
from xmppd.stanza import JID
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config

JULIET = "juliet@montague.lit"
NURSE = ("nurse@montague.lit",)


class Post:
    """Romeo writes; others are here, or not."""

    def __init__(
        self,
        *names: str,
        admins: tuple[str, ...] = (),
        contacts: Mapping[str, str] | None = None,
        **tables: dict[str, object],
    ) -> None:
        config = replace(house_config("montague.lit", **tables), admins=admins)
        self.house = House(config=config, romeo={}, juliet=contacts or {}, nurse={})
        self.house.server.routing_table.foreign = None
        self.server = self.house.server
        self.romeo, *self.others = self.house.connect("romeo", *names)

    def with_priority(self, *priorities: int) -> "Post":
        """The others say how much they want messages."""
        for client, priority in zip(self.others, priorities, strict=True):
            client.send(f"<presence><priority>{priority}</priority></presence>")
        return self

    def explained(self, to: str, kind: str, sender: str = "romeo@montague.lit") -> list[Finding]:
        """What is said of it."""
        return done(explain_message(self.server, JID.parse(sender), JID.parse(to), kind))

    def sent(self, to: str, kind: str) -> str:
        """What does become of it."""
        for client in (self.romeo, *self.others):
            client.raw()
        before = self.waiting()
        self.romeo.send(f"<message to='{to}' type='{kind}'><body>Wherefore?</body></message>")
        if any("type='error'" in stanza for stanza in self.romeo.received()):
            return "bounced"
        got = [str(client.jid).partition("/")[2] for client in self.others if got_message(client)]
        if got:
            return "delivered " + " ".join(got)
        return "stored" if self.waiting() > before else "dropped"

    def waiting(self) -> int:
        """How many messages wait for the two who may be away."""
        stored = (done(self.house.store.offline.offline_messages(str(self.house.jid(name))))
                  for name in ("juliet", "nurse"))  # fmt: skip
        return sum(map(len, stored))


def block(client: Client, jid: str) -> None:
    """Somebody blocks somebody."""
    command(client, "block", jid)


def got_message(client: Client) -> bool:
    """Whether a message has come."""
    return any(stanza.startswith("<message") for stanza in client.received())


def full() -> Post:
    """One message more than fits."""
    post = Post(offline={"max_messages": 1})
    post.sent(JULIET, "chat")
    return post


def silent() -> Post:
    """Juliet is connected and has sent no presence."""
    post = Post()
    post.others.append(post.house.bind("juliet", "a"))
    return post


CASES: tuple[tuple[Callable[[], Post], str, str, str, str], ...] = (
    (lambda: Post("juliet/a"), JULIET, "chat", "delivered a", "only_session"),
    (lambda: Post("juliet/a", "juliet/b").with_priority(1, 5), JULIET, "chat", "delivered b",
     "priority"),
    (lambda: Post("juliet/a", "juliet/b"), JULIET, "normal", "delivered a b", "priority"),
    (lambda: Post("juliet/a", "juliet/b").with_priority(1, 5), JULIET, "headline",
     "delivered a b", "headline_to_all"),
    (lambda: Post("juliet/a", "juliet/b").with_priority(1, 5), f"{JULIET}/a", "chat",
     "delivered a", "full"),
    (silent, f"{JULIET}/a", "chat", "delivered a", "full"),
    (lambda: Post("juliet/a"), f"{JULIET}/b", "chat", "delivered a", "only_session"),
    (lambda: Post("juliet/a"), f"{JULIET}/b", "normal", "dropped", "untold"),
    (lambda: Post("juliet/a", contacts={"romeo@montague.lit": "from"}), f"{JULIET}/b", "normal",
     "bounced", "one_resource"),
    (Post, f"{JULIET}/b", "normal", "stored", "nobody_there"),
    (lambda: Post("juliet/a"), f"{JULIET}/b", "headline", "dropped", "one_resource_dropped"),
    (Post, JULIET, "chat", "stored", "nobody_there"),
    (lambda: Post("juliet/a").with_priority(-1), JULIET, "chat", "stored", "nobody_there"),
    (silent, JULIET, "chat", "stored", "nobody_there"),
    (full, JULIET, "chat", "bounced", "quota"),
    (Post, JULIET, "headline", "dropped", "headline"),
    (lambda: Post("juliet/a"), JULIET, "groupchat", "bounced", "bare"),
    (lambda: Post("juliet/a"), JULIET, "error", "dropped", "bare"),
    (Post, "june@montague.lit", "chat", "bounced", "no_account"),
    (Post, "juliet@capulet.lit", "chat", "bounced", "no_route"),
    (Post, "montague.lit", "chat", "bounced", "no_admins"),
    (Post, "montague.lit/x", "chat", "bounced", "server_resource"),
    (lambda: Post("nurse/n", admins=NURSE), "montague.lit", "chat", "delivered n", "admins"),
    (lambda: Post(admins=NURSE), "montague.lit", "chat", "stored", "admins"),
)  # fmt: skip
"""Who is here; whom to; of which type; the outcome and the cause."""


class MessageTests(SynchronousTestCase):
    def test_causes(self) -> None:
        """What is said of a message is what happens to it, and why."""
        for number, (seed, to, kind, outcome, cause) in enumerate(CASES):
            with self.subTest(f"{number}: {cause}"):
                post = seed()
                findings = post.explained(to, kind)
                deciding = [finding.code for finding in findings if finding.decides]
                self.assertEqual((findings[0].code, deciding), (outcome.split()[0], [cause]))
                self.assertEqual(post.sent(to, kind), outcome)

    def test_skipped(self) -> None:
        """Each session that does not get it is named, with the reason."""
        post = Post("juliet/a", "juliet/b", "juliet/c").with_priority(-1, 1, 5)
        post.house.bind("juliet", "d")
        says = {finding.code: finding.says for finding in post.explained(JULIET, "chat")}
        self.assertIn("juliet@montague.lit/a", says["negative_priority"])
        self.assertIn("juliet@montague.lit/b", says["lower_priority"])
        self.assertIn("juliet@montague.lit/d", says["not_available"])

    def test_sender(self) -> None:
        """A sender who is not there could not send it."""
        post = Post("juliet/a")
        for sender, code in (
            ("romeo@montague.lit", None),
            ("nurse@montague.lit", "sender_away"),
            ("june@montague.lit", "sender_unknown"),
            ("romeo@capulet.lit", None),
        ):
            codes = {f.code for f in post.explained(JULIET, "chat", sender) if "sender" in f.code}
            self.assertEqual(codes, {code} - {None})

    def test_copies(self) -> None:
        """Who gets copies is said, of both sides (CA-2, CA-3)."""
        post = Post("juliet/a", "juliet/b", "romeo/orchard").with_priority(1, 5, 0)
        done(post.house.plugins.load("carbons"))
        for client in (post.romeo, *post.others):
            carbons_of(post.house).enable(client.session)
        self.assertEqual(post.sent(JULIET, "chat"), "delivered a b orchard")
        found = {f.code: f.says for f in post.explained(JULIET, "chat", "romeo@montague.lit/1")}
        self.assertIn("delivered to juliet@montague.lit/b", found["delivered"])
        self.assertIn("copy goes to juliet@montague.lit/a", found["copied"])
        self.assertIn(
            "romeo@montague.lit/orchard gets a copy of what is sent", found["sent_copied"]
        )
        found = {f.code: f.says for f in post.explained(JULIET, "headline")}
        self.assertFalse({"copied", "sent_copied"} & found.keys())

    def test_row(self) -> None:
        """The row of the table is said, with what it makes of this type."""
        post = Post("juliet/a", "juliet/b").with_priority(1, 5)
        for to, kind, words in (
            (
                JULIET,
                "chat",
                "several resources that want it is delivered to those of the highest priority",
            ),
            (JULIET, "headline", "several resources that want it is delivered to all of them"),
            (f"{JULIET}/a", "normal", "a resource that is connected is delivered there"),
            ("nurse@montague.lit", "chat", "without an available resource is stored until"),
            ("june@montague.lit", "chat", "an account that does not exist is bounced"),
            ("june@elsinore.lit", "chat", "another domain is passed on"),
        ):
            says = {finding.code: finding.says for finding in post.explained(to, kind)}
            self.assertIn(words, says["row"])

    def test_followers(self) -> None:
        """Whoever follows messages explains itself."""
        post = Post("juliet/a", "nurse/n")
        done(post.house.plugins.load("client_state"))
        codes = {f.code for f in post.explained(JULIET, "chat")}
        self.assertFalse({"held", "wakes", "inactive"} & codes)
        post.others[0].enable()
        post.others[0].send("<inactive xmlns='urn:xmpp:csi:0'/>")
        says = {finding.code: finding.says for finding in post.explained(JULIET, "chat")}
        self.assertIn("until the client of juliet@montague.lit/a has acknowledged it", says["held"])
        self.assertIn("the client of juliet@montague.lit/a is in the background", says["wakes"])
        says = {
            finding.code: finding.says for finding in post.explained("nurse@montague.lit", "chat")
        }
        self.assertFalse({"held", "wakes"} & says.keys())

    def test_same_decision(self) -> None:
        """What is explained is what the router decides, and not what something like it would."""
        post = Post("juliet/a")
        decided = []
        router = post.server.message_router
        decide = router.decide
        self.patch(router, "decide", lambda message: decided.append(message) or decide(message))
        post.explained(JULIET, "chat")
        self.assertEqual(len(decided), 2)

    def test_room(self) -> None:
        """How much waits already is said where one more is kept."""
        post = Post()
        post.sent(JULIET, "chat")
        self.assertIn("waiting", {finding.code for finding in post.explained(JULIET, "chat")})

    def test_nothing_happens(self) -> None:
        """Nothing is sent, stored or forgotten because somebody asked."""
        post = Post("nurse", admins=NURSE)
        post.sent(JULIET, "chat")
        post.others[0].raw()
        for to in (JULIET, "nurse@montague.lit", "montague.lit"):
            post.explained(to, "chat")
        self.assertEqual((post.others[0].raw(), post.romeo.raw(), post.waiting()), (b"", b"", 1))

    def test_component(self) -> None:
        """A component gets what is for its domain."""
        post = Post()
        post.server.routing_table.components["rooms.montague.lit"] = Silence()
        found = post.explained("x@rooms.montague.lit", "groupchat")
        self.assertEqual([finding.code for finding in found[:2]], ["handed_on", "component"])


class Silence:
    def deliver(self, stanza: object, wire: bytes) -> bool:
        raise AssertionError("nothing is sent")


class PrivacyTests(SynchronousTestCase):
    """Lists that stand in the way."""

    def post(self) -> Post:
        post = Post("juliet/a")
        done(post.house.plugins.load("privacy_lists"))
        return post

    def check(self, post: Post, code: str) -> None:
        """What is said is what happens."""
        found = post.explained(JULIET, "chat")
        self.assertEqual(found[0].code, post.sent(JULIET, "chat").partition(" ")[0])
        self.assertEqual([f.code for f in found if f.decides], [code])

    def test_session(self) -> None:
        """The recipient's session denies it (PL-3)."""
        post = self.post()
        use(post.others[0], denied("message"))
        self.check(post, "session_denies")

    def test_account(self) -> None:
        """The default list denies it while nobody is here (PL-5)."""
        post = self.post()
        put(post.others[0], listed("l", denied("message")))
        put(post.others[0], "<default name='l'/>")
        post.others.pop().abort()
        self.check(post, "account_denies")

    def test_sender(self) -> None:
        """The sender's own list denies the recipient (PL-4)."""
        post = self.post()
        use(post.romeo, denied())
        self.check(post, "sender_denies")

    def blocking(self) -> Post:
        post = Post("juliet/a", "nurse/n")
        done(post.house.plugins.load("blocking"))
        return post

    def says(self, post: Post, to: str = JULIET, sender: str = "romeo@montague.lit") -> str:
        """The sentence on which the outcome depends."""
        return next(f.says for f in post.explained(to, "chat", sender) if f.decides)

    def test_blocked(self) -> None:
        """The recipient has blocked the sender, and is here or not (PL-9)."""
        post = self.blocking()
        block(post.others[0], "romeo@montague.lit")
        said = "juliet@montague.lit has blocked romeo@montague.lit"
        self.check(post, "session_denies")
        self.assertEqual(self.says(post), said)
        self.assertEqual(self.says(post, f"{JULIET}/a"), said)
        post.others.pop(0).abort()
        self.check(post, "account_denies")
        self.assertEqual(self.says(post), said)

    def test_blocked_domain(self) -> None:
        """So it is with a whole domain of others."""
        post = self.blocking()
        block(post.others[0], "capulet.lit")
        said = "juliet@montague.lit has blocked tybalt@capulet.lit"
        self.assertEqual(self.says(post, sender="tybalt@capulet.lit"), said)

    def test_sender_blocks(self) -> None:
        """The sender has blocked the recipient, and is here or not."""
        post = self.blocking()
        block(post.romeo, JULIET)
        self.check(post, "sender_denies")
        said = "romeo@montague.lit has blocked juliet@montague.lit"
        self.assertEqual(self.says(post), said)
        post.romeo.abort()
        self.assertEqual(self.says(post), said)
        self.assertEqual(post.explained(JULIET, "chat")[0].code, "bounced")


class ElsewhereTests(SynchronousTestCase):
    """Messages from and to other servers, and components."""

    def setUp(self) -> None:
        blocked = [{"name": "spam.lit", "block": True}]
        secret = {"name": "rooms.montague.lit", "secret": "wherefore"}
        config = house_config("montague.lit", s2s={"domain": blocked}, component=[secret])
        self.house = House(config=config, romeo={}, juliet={})
        self.elsewhere = Elsewhere(self.house)
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")

    def explained(self, to: str, sender: str = "romeo@montague.lit") -> tuple[str, str]:
        """The outcome, and what it depends on."""
        found = done(explain_message(self.house.server, JID.parse(sender), JID.parse(to), "chat"))
        return found[0].code, next(f.code for f in found if f.decides)

    def bounces(self, to: str) -> bool:
        """Whether it comes back at once."""
        self.romeo.send(f"<message to='{to}' type='chat'><body>Wherefore?</body></message>")
        return "type='error'" in self.romeo.raw().decode()

    def test_blocked_there(self) -> None:
        """What is for a blocked server comes back (SV-4)."""
        self.assertEqual(self.explained("x@spam.lit"), ("bounced", "peer_blocked"))
        self.assertTrue(self.bounces("x@spam.lit"))

    def test_blocked_here(self) -> None:
        """What a blocked server has for us does not come in."""
        found = self.explained("juliet@montague.lit", "x@spam.lit")
        self.assertEqual(found, ("refused", "sender_barred"))

    def test_not_served(self) -> None:
        """A domain below ours that nobody serves is named so."""
        self.assertEqual(self.explained("x@pubsub.montague.lit"), ("handed_on", "not_served"))
        self.assertNotEqual(self.explained("x@rooms.montague.lit")[1], "not_served")

    def test_unreached(self) -> None:
        """While a server is left alone that could not be reached, all comes back (SV-10)."""
        self.assertEqual(self.explained("x@verona.lit"), ("handed_on", "elsewhere"))
        self.elsewhere.why = no_stream("it turned us away")
        self.assertTrue(self.bounces("x@verona.lit"))
        self.assertEqual(self.explained("x@verona.lit"), ("bounced", "peer_unreached"))
        self.assertTrue(self.bounces("x@verona.lit"))
        self.house.clock.advance(60)
        self.assertEqual(self.explained("x@verona.lit"), ("handed_on", "elsewhere"))

    def test_asking_changes_nothing(self) -> None:
        """Nobody is called because somebody asked."""
        self.explained("x@verona.lit")
        self.assertEqual(self.elsewhere.called, {})
        self.assertEqual(self.house.server.foreign_routes.pairs, {})

    def test_component_away(self) -> None:
        """A component that is not connected gets nothing (CO-8)."""
        to = "x@rooms.montague.lit"
        self.assertEqual(self.explained(to), ("bounced", "component_away"))
        self.assertTrue(self.bounces(to))
        service = self.house.service("rooms.montague.lit")
        service.shake_hands("wherefore")
        self.assertEqual(self.explained(to), ("handed_on", "component"))
        self.assertFalse(self.bounces(to))
