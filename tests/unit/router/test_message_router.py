"""Messages: every row of RFC 6121 §8, and what becomes of those that find nobody."""

from collections.abc import Mapping

from msgspec import convert
from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore
from xmppd.config.config import Config
from xmppd.events import On
from xmppd.message.decision import Cell
from xmppd.router.message_router import MessageUnheard
from xmppd.stanza import ns
from xmppd.testing.client import Client, Elsewhere, done
from xmppd.testing.house import House, house_config

DOMAIN = "montague.lit"
BARE = f"juliet@{DOMAIN}"
DELIVERED, STORED, BOUNCED, DROPPED = "delivered", "stored", "bounced", "dropped"
KINDS = ("normal", "chat", "groupchat", "headline", "error", "unheard-of", None)


def text(to: str, kind: str | None, body: str = "hi") -> str:
    """A message as a client writes it."""
    written = "" if kind is None else f" type='{kind}'"
    return f"<message to='{to}'{written} id='1'><body>{body}</body></message>"


class StagedTestCase(SynchronousTestCase):
    """Romeo writes to Juliet, whose resources have these priorities."""

    contacts: Mapping[str, str] = {}
    """Juliet's, with their subscriptions."""

    def setUp(self) -> None:
        self.stage()

    def stage(self, *priorities: int | None, **config: dict[str, object]) -> None:
        """Juliet has resources p0, p1, ... of these priorities; None has sent no presence."""
        config_ = house_config(DOMAIN, **config)
        self.house = House(DOMAIN, config=config_, romeo={}, juliet=self.contacts)
        (self.romeo,) = self.house.connect("romeo")
        self.juliet: list[Client] = []
        for number, priority in enumerate(priorities):
            client = self.house.bind("juliet", f"p{number}")
            if priority is not None:
                client.send(f"<presence><priority>{priority}</priority></presence>")
            self.juliet.append(client)
        for client in self.juliet:
            client.raw()


class MessageTests(StagedTestCase):
    def outcome(self, to: str, kind: str | None) -> tuple[str, list[int]]:
        """What becomes of a message, and which of Juliet's resources got it."""
        self.romeo.send(text(to, kind))
        got = [n for n, client in enumerate(self.juliet) if "<body>" in "".join(client.received())]
        bounced = any("service-unavailable" in stanza for stanza in self.romeo.received())
        stored = bool(done(self.house.store.offline.offline_messages(BARE)))
        self.assertLessEqual(bool(got) + bounced + stored, 1)
        if got:
            return DELIVERED, got
        return (BOUNCED if bounced else STORED if stored else DROPPED), []

    def assert_outcomes(
        self, to: str, priorities: tuple[int | None, ...], expected: dict[str | None, object]
    ) -> None:
        for kind, outcome in expected.items():
            with self.subTest(to=to, priorities=priorities, kind=kind):
                self.stage(*priorities)
                self.assertEqual(self.outcome(to, kind), outcome)

    def test_forwarded(self) -> None:
        """A stanza inside a message arrives in the namespace in which its client put it."""
        self.stage(0)
        inside = "<message xmlns='jabber:client' from='a@b'><body>hi</body></message>"
        forward = f"<forwarded xmlns='urn:xmpp:forward:0'>{inside}</forwarded>"
        self.romeo.send(f"<message to='{BARE}'>{forward}</message>")
        self.assertIn(inside.encode(), self.juliet[0].raw())

    def test_no_such_account(self) -> None:
        """Nobody of this name: an error, but never for an error or a headline (§8.5.1, OM-1)."""
        for to in (f"nobody@{DOMAIN}", f"nobody@{DOMAIN}/x"):
            for kind in KINDS:
                with self.subTest(to=to, kind=kind):
                    self.stage()
                    silent = kind in ("error", "headline")
                    self.assertEqual(self.outcome(to, kind)[0], DROPPED if silent else BOUNCED)

    def test_bare_available(self) -> None:
        """To an account: its most wanted resources, a headline to all (§8.5.2.1.1, RT-20)."""
        for priorities, chat, headline in (
            ((0,), [0], [0]),
            ((0, 0), [0, 1], [0, 1]),
            ((5, 0), [0], [0, 1]),
            ((-1, 0), [1], [1]),
            ((-1, 3, 3, None), [1, 2], [1, 2]),
        ):
            self.assert_outcomes(
                BARE,
                priorities,
                {
                    "normal": (DELIVERED, chat), "chat": (DELIVERED, chat),
                    None: (DELIVERED, chat), "unheard-of": (DELIVERED, chat),
                    "headline": (DELIVERED, headline),
                    "groupchat": (BOUNCED, []), "error": (DROPPED, []),
                },
            )  # fmt: skip

    def test_bare_nobody(self) -> None:
        """To an account none of whose resources wants it (§8.5.2.2, RT-18, OM-2)."""
        for priorities in ((), (None,), (-1,), (-1, None, -128)):
            self.assert_outcomes(
                BARE,
                priorities,
                {
                    "normal": (STORED, []), "chat": (STORED, []), None: (STORED, []),
                    "unheard-of": (STORED, []), "headline": (DROPPED, []),
                    "groupchat": (BOUNCED, []), "error": (DROPPED, []),
                },
            )  # fmt: skip

    def test_full_connected(self) -> None:
        """To a resource that is here: there, whatever its priority or the type (§8.5.3.1, MR-5)."""
        for priority in (3, 0, -1, None):
            self.assert_outcomes(
                f"{BARE}/p0", (priority, 5), dict.fromkeys(KINDS, (DELIVERED, [0]))
            )

    def assert_full_absent(self, refused: str) -> None:
        """What becomes of messages to a resource that is not here, if the sender is refused so."""
        others: dict[str | None, object] = {
            "groupchat": (refused, []), "headline": (DROPPED, []), "error": (DROPPED, []),
        }  # fmt: skip
        normal: dict[str | None, object] = dict.fromkeys(("normal", None), (refused, []))
        kept: dict[str | None, object] = dict.fromkeys(("normal", None, "chat"), (STORED, []))
        self.assert_outcomes(f"{BARE}/gone", (0, 4), {**others, **normal, "chat": (DELIVERED, [1])})
        self.assert_outcomes(f"{BARE}/gone", (-1,), {**others, **kept})
        self.assert_outcomes(f"{BARE}/gone", (), {**others, **kept})

    def test_full_absent(self) -> None:
        """To a resource that is not here: chat goes on to the account, and what nobody else gets is
        kept; a contact is told of the rest (§8.5.3.2, MR-6).
        """
        self.contacts = {f"romeo@{DOMAIN}": "from"}
        self.assert_full_absent(BOUNCED)

    def test_full_absent_stranger(self) -> None:
        """Who may not see Juliet's presence does not learn that a resource is not here (MR-10)."""
        self.assert_full_absent(DROPPED)

    def test_stranger_tells_nothing(self) -> None:
        """A stranger gets the same answers whether Juliet is away, here or invisible (MR-10)."""
        kinds = [
            (to, kind, body + hint)
            for to in (BARE, f"{BARE}/p0")
            for kind in KINDS
            for body in ("", "<body>hi</body>", "<x xmlns='urn:example:x'/>")
            for hint in ("", "<no-store xmlns='urn:xmpp:hints'/>")
        ]
        answers: list[set[tuple[str, str | None, str]]] = []
        for priorities in ((), (0,), (-1,), (None,), (0,)):
            self.stage(*priorities)
            if len(answers) == 4:
                self.juliet[0].send(
                    "<iq type='set' id='i'><invisible xmlns='urn:xmpp:invisible:1'/></iq>"
                )
                self.juliet[0].send("<presence/>")
            answers.append(set())
            for to, kind, children in kinds:
                self.romeo.send(text(to, kind).replace("<body>hi</body>", children))
                if self.romeo.received():
                    answers[-1].add((to, kind, children))
        refused = {(to, kind, _) for to, kind, _ in kinds if (to, kind) == (BARE, "groupchat")}
        self.assertEqual(answers, [refused] * 5)

    def test_to_nobody_in_particular(self) -> None:
        """Without an address a message is for the sender's own account (SI-8)."""
        self.romeo.send("<message><body>note</body></message>")
        self.assertEqual(
            self.romeo.received(),
            [
                (
                    "<message from='romeo@montague.lit/1' to='romeo@montague.lit'>"
                    "<body>note</body></message>"
                )
            ],
        )

    def test_elsewhere(self) -> None:
        """Where no server can be reached the sender is told; an iq likewise."""
        self.romeo.send(text("x@capulet.lit", "chat"))
        self.romeo.send("<iq to='x@capulet.lit/y' type='get' id='1'><q xmlns='q'/></iq>")
        for stanza in self.romeo.received():
            self.assertIn("remote-server-not-found", stanza)

    def test_to_the_server(self) -> None:
        """What is written to the server goes to its administrators, or bounces (MR-4)."""
        self.assertEqual(self.outcome(DOMAIN, "chat")[0], BOUNCED)
        self.house = House(
            DOMAIN,
            config=convert(
                {"domain": [{"name": DOMAIN}], "admins": [f"nobody@{DOMAIN}", BARE]}, Config
            ),
            romeo={}, juliet={},
        )  # fmt: skip
        romeo, juliet = self.house.connect("romeo", "juliet")
        romeo.send(text(DOMAIN, "chat"))
        self.assertIn("<body>hi</body>", "".join(juliet.received()))
        self.assertEqual(romeo.received(), [])


class RoomElsewhereTests(StagedTestCase):
    def test_room_elsewhere(self) -> None:
        """A room of another server is told that its occupant is gone (MR-10)."""
        self.stage(0)
        elsewhere = Elsewhere(self.house)
        for kind in ("groupchat", "normal"):
            elsewhere.send(
                f"<message from='hall@rooms.lit/nurse' to='{BARE}/gone' "
                f"type='{kind}' id='{kind}'><body>hi</body></message>"
            )
        (answer,) = elsewhere.heard()
        self.assertIn("id='groupchat'", answer)
        self.assertIn("service-unavailable", answer)


class UnheardTests(StagedTestCase):
    """Who listens hears of messages that found nobody, when it is done with them."""

    def unheard(self, *stanzas: str) -> list[tuple[str, str, Cell]]:
        """What is heard of when Romeo sends these: account, type and what became of it."""
        heard: list[MessageUnheard] = []
        undo = self.house.server.events.put(On(MessageUnheard, heard.append), "test")
        for stanza in stanzas:
            self.romeo.send(stanza)
        undo()
        return [(e.account.full, e.message.type or "", e.decision.cell) for e in heard]

    def test_kept_and_dropped(self) -> None:
        """Juliet is away: a chat message waits for her, and a headline does not."""
        kinds = ("chat", "headline")
        self.assertEqual(
            self.unheard(*(text(BARE, kind) for kind in kinds), text(f"{BARE}/gone", "chat")),
            [
                (BARE, "chat", Cell.KEPT),
                (BARE, "headline", Cell.DROPPED),
                (BARE, "chat", Cell.KEPT),
            ],
        )
        self.assertEqual(len(done(self.house.store.offline.offline_messages(BARE))), 2)

    def test_bounced(self) -> None:
        """What comes back is its sender's to know."""
        stanzas = text(BARE, "groupchat"), text(f"nobody@{DOMAIN}", "chat"), text(DOMAIN, "chat")
        self.assertEqual(self.unheard(*stanzas), [])

    def test_heard(self) -> None:
        """A session that has it is enough, also one without a connection."""
        self.stage(0)
        self.juliet[0].enable()
        self.assertEqual(self.unheard(text(BARE, "chat")), [])
        self.juliet[0].abort()
        self.assertEqual(self.unheard(text(BARE, "chat")), [])


class OfflineTests(SynchronousTestCase):
    """Messages that wait (XEP-0160)."""

    def setUp(self) -> None:
        self.store = SlowStore()
        self.house = House(
            DOMAIN,
            config=house_config(DOMAIN, offline={"max_messages": 3}),
            store=self.store, romeo={}, juliet={}, nurse={},
        )  # fmt: skip
        (self.romeo,) = self.house.connect("romeo")

    def kept(self) -> int:
        """How many messages wait for Juliet."""
        return len(done(self.store.written.offline.offline_messages(BARE)))

    def bodies(self, client: Client) -> list[str]:
        """The texts that came, and ``?`` for a ping."""
        found = []
        for stanza in client.received():
            if "<body>" in stanza:
                found.append(stanza.partition("<body>")[2].partition("</body>")[0])
            elif "urn:xmpp:ping" in stanza:
                found.append("?")
                self.ping = stanza.partition("id='")[2].partition("'")[0]
        return found

    def answer(self, client: Client) -> None:
        """The client answers the ping."""
        client.send(f"<iq type='result' id='{self.ping}' to='{DOMAIN}'/>")

    def test_in_order_with_a_stamp(self) -> None:
        """Messages come in their order, each with the time when it was sent (OS-2, OS-5)."""
        for body in ("one", "two"):
            self.romeo.send(text(BARE, "chat", body))
            self.house.clock.advance(60)
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        stanzas = [s for s in juliet.received() if "<body>" in s]
        stamp = f"<delay xmlns='{ns.DELAY}' from='{DOMAIN}' stamp='2023-11-14T22:1{{}}:20Z'/>"
        self.assertEqual([s.count("<delay") for s in stanzas], [1, 1])
        for minute, body, stanza in zip("34", ("one", "two"), stanzas, strict=True):
            self.assertIn(f"<body>{body}</body>{stamp.format(minute)}", stanza)

    def test_kept_until_answered(self) -> None:
        """A connection that dies halfway loses nothing: only an answered ping deletes (OS-3)."""
        self.romeo.send(text(BARE, "chat", "one"))
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        self.assertEqual(self.bodies(juliet), ["one", "?"])
        juliet.abort()
        self.assertEqual(self.kept(), 1)
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        self.assertEqual(self.bodies(juliet), ["one", "?"])
        self.answer(juliet)
        self.assertEqual(self.kept(), 0)

    def test_somebody_else_cannot_answer(self) -> None:
        """An answer counts by its id and its sender (IQ-14)."""
        self.romeo.send(text(BARE, "chat"))
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        self.bodies(juliet)
        self.answer(self.romeo)
        self.assertEqual(self.kept(), 1)
        self.answer(juliet)
        self.assertEqual(self.kept(), 0)

    def test_an_error_is_an_answer(self) -> None:
        """A client that knows no ping answers with an error, and has read what came before."""
        self.romeo.send(text(BARE, "chat"))
        juliet = self.house.bind("juliet")
        juliet.send("<presence/>")
        self.bodies(juliet)
        juliet.send(f"<iq type='error' id='{self.ping}' to='{DOMAIN}'/>")
        self.assertEqual(self.kept(), 0)

    def test_negative_priority(self) -> None:
        """A negative priority gets none; raising it brings them (PU-14)."""
        self.romeo.send(text(BARE, "chat", "one"))
        juliet = self.house.bind("juliet")
        juliet.send("<presence><priority>-1</priority></presence>")
        self.assertEqual(self.bodies(juliet), [])
        juliet.send("<presence/>")
        self.assertEqual(self.bodies(juliet), ["one", "?"])
        juliet.send("<presence><show>away</show></presence>")
        self.assertEqual(self.bodies(juliet), [])

    def test_the_next_resource(self) -> None:
        """Where one resource confirms nothing, another that came meanwhile gets them."""
        self.romeo.send(text(BARE, "chat", "one"))
        first, second = self.house.bind("juliet", "1"), self.house.bind("juliet", "2")
        first.send("<presence/>")
        second.send("<presence/>")
        self.assertEqual(self.bodies(first), ["one", "?"])
        self.assertEqual(self.bodies(second), [])
        self.house.clock.advance(self.house.server.config.stream.ping_timeout_s)
        self.assertEqual(self.bodies(second), ["one", "?"])
        self.answer(second)
        self.assertEqual(self.kept(), 0)
        self.house.clock.advance(self.house.server.config.stream.ping_timeout_s)
        self.assertEqual(self.bodies(first), [])

    def test_quota(self) -> None:
        """Beyond the limit, or its share of it, a sender is told, and what waits stays (OM-4)."""
        (nurse,) = self.house.connect("nurse")
        for body in ("1", "2"):
            self.romeo.send(text(BARE, "chat", body))
        self.assertEqual(self.romeo.received(), [])
        self.romeo.send(text(BARE, "chat", "3"))
        (error,) = self.romeo.received()
        self.assertIn("<error type='cancel'><service-unavailable", error)
        self.assertIn("too many messages of yours", error)
        nurse.send(text(BARE, "chat", "3"))
        self.assertEqual(nurse.received(), [])
        nurse.send(text(BARE, "chat", "4"))
        self.assertIn("too many messages wait", nurse.received()[0])
        self.assertEqual(self.kept(), 3)

    def test_share_of_a_domain(self) -> None:
        """All senders of another domain have one share; of ours each has its own."""
        elsewhere = Elsewhere(self.house)
        for number in range(3):
            message = text(BARE, "chat").replace("<message", f"<message from='{number}@evil.lit'")
            elsewhere.send(message)
        self.assertEqual(len(elsewhere.heard()), 1)
        self.romeo.send(text(BARE, "chat"))
        self.assertEqual((self.kept(), self.romeo.received()), (3, []))

    def test_nothing_to_say(self) -> None:
        """A chat state, or a message with nothing in it, is not kept (OS-1)."""
        for child in (
            "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
            "",
        ):
            self.romeo.send(f"<message to='{BARE}' type='chat'>{child}</message>")
        self.assertEqual((self.kept(), self.romeo.received()), (0, []))

    def test_login_while_it_is_stored(self) -> None:
        """A message that is stored while its recipient comes is delivered all the same."""
        for late in (False, True):
            with self.subTest(late=late):
                juliet = self.house.bind("juliet")
                self.store.slow, self.store.late = True, late
                self.romeo.send(text(BARE, "chat", "one"))
                self.store.release()  # whether the account exists; the message is being stored
                juliet.send("<presence/>")
                self.store.slow = False
                self.store.release_all()
                self.assertEqual(self.bodies(juliet), ["one", "?"])
                self.answer(juliet)
                self.assertEqual(self.kept(), 0)
                juliet.abort()

    def test_stored_while_read(self) -> None:
        """A message that is stored behind a flood's back is read again."""
        juliet = self.house.bind("juliet")
        self.store.slow, self.store.late = True, True
        self.romeo.send(text(BARE, "chat", "one"))
        self.store.release()
        juliet.send("<presence/>")  # its reading waits behind the storing
        self.store.late = False
        self.store.waiting.reverse()  # a store that answers a reader first
        self.store.release_all()
        self.assertEqual(self.bodies(juliet), ["one", "?"])

    def test_broken_store(self) -> None:
        """What cannot be read or deleted stays, and keeps nobody from reading it later."""
        self.romeo.send(text(BARE, "chat", "one"))
        juliet = self.house.bind("juliet")
        self.store.broken = {"offline_messages"}
        juliet.send("<presence/>")
        self.store.broken = {"delete_offline"}
        second = self.house.bind("juliet", "2")
        second.send("<presence/>")
        self.assertEqual(self.bodies(second), ["one", "?"])
        self.answer(second)
        self.assertEqual(self.kept(), 1)
        self.assertEqual(self.house.server.offline_message_flood._given, {})
