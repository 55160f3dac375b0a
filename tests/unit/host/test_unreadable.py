"""What cannot be read stops nothing but itself: logins and restarts go on (QT-1 to QT-3)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from msgspec import msgpack
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import done
from xmppd.testing.house import House, memory_store

DOMAIN = "montague.lit"
ROMEO, JULIET = f"romeo@{DOMAIN}", f"juliet@{DOMAIN}"
XML = "http://www.w3.org/XML/1998/namespace"
BROKEN = (
    b"",
    b"<message",
    b"\xff\x00",
    b"<message/>",  # from nobody
    b"<message from='@'/>",
    f"<messagf from='{ROMEO}/a' to='{JULIET}'/>".encode(),
    f"<message from='{ROMEO}/a' to='@'/>".encode(),
    f"<message from='{ROMEO}/a'><x xmlns='y' xmlns:a0='{XML}' a0:id='i'/></message>".encode(),
    f"<message from='{ROMEO}/a'><a:x/></message>".encode(),
    f"<message from='{ROMEO}/a'/><message from='{ROMEO}/a'/>".encode(),
)


def message(text: str, to: str = JULIET) -> str:
    """A message that says something."""
    return f"<message to='{to}' type='chat'><body>{text}</body></message>"


class UnreadableCase(SynchronousTestCase):
    """Romeo, Juliet and the nurse see each other."""

    def setUp(self) -> None:
        self.store = memory_store()
        self.house = House(
            DOMAIN, store=self.store,
            plugins=("vcard", "private_storage", "privacy_lists", "blocking"),
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
        )  # fmt: skip
        self.office = Office(self.house)

    def store_message(self, stanza: bytes, account: str = JULIET) -> None:
        storing = self.store.offline.store_offline(
            account, stanza, sender=ROMEO, stored=1.0, max_messages=999, max_bytes=99_999
        )
        done(storing)

    def set_item(self, namespace: str, key: str, value: bytes) -> None:
        done(
            self.store.items.set_item(JULIET, namespace, key, value, max_items=99, max_bytes=99_999)
        )

    def log_in(self) -> list[str]:
        """All that comes when Juliet logs in."""
        self.juliet = self.house.bind("juliet")
        self.juliet.send("<presence/>")
        return self.juliet.received()

    def listed(self) -> list[str]:
        """The kinds of what is set aside, as an administrator sees it."""
        return [str(row["kind"]) for row in self.office.rows("db quarantine list")]


class LoginTests(UnreadableCase):
    """What a login brings."""

    def test_messages(self) -> None:
        """Of messages that wait each one that can be read comes, in order, and once."""
        (romeo,) = self.house.connect("romeo")
        for number, stanza in enumerate(BROKEN):
            self.store_message(stanza)
            romeo.send(message(f"good {number}"))
        got = [stanza for stanza in self.log_in() if "good" in stanza]
        self.assertEqual(len(got), len(BROKEN))
        self.assertEqual(got, sorted(got))
        self.assertEqual(self.listed(), ["offline message"] * len(BROKEN))

    def test_only_bad_ones(self) -> None:
        """When nothing is left the login is a login, and the next message is delivered."""
        self.store_message(b"<message")
        (juliet,) = self.house.connect("juliet")
        juliet.received()
        (romeo,) = self.house.connect("romeo")
        romeo.send(message("live"))
        self.assertTrue(any("live" in stanza for stanza in juliet.received()))

    def test_requests(self) -> None:
        """A request that cannot be read is gone; contacts, other requests and messages come."""
        good = b"<presence from='rosaline@capulet.lit' to='%b' type='subscribe'/>" % JULIET.encode()
        requests = [RosterItem(f"s{i}@capulet.lit", pending_in=b) for i, b in enumerate(BROKEN)]
        requests.append(RosterItem("rosaline@capulet.lit", pending_in=good))
        done(self.store.rosters.save_roster_items(JULIET, requests))
        self.store_message(f"<message from='{ROMEO}/a'><body>waits</body></message>".encode())
        self.house.server.roster_manager.forget(JULIET)
        self.house.connect("romeo")
        got = self.log_in()
        for wanted in ("subscribe", f"{ROMEO}/", "waits"):
            self.assertTrue(any(wanted in stanza for stanza in got), wanted)
        self.assertEqual(sum("subscribe" in stanza for stanza in got), 1)
        self.assertEqual(self.listed(), ["contact"] * len(BROKEN))

    def test_contacts(self) -> None:
        """A contact that is no address is gone, and the roster has the others."""
        done(self.store.rosters.save_roster_items(JULIET, [RosterItem("@"), RosterItem("A@B.lit")]))
        self.house.server.roster_manager.forget(JULIET)
        (juliet,) = self.house.connect("juliet")
        juliet.received()
        juliet.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
        (answer,) = juliet.received()
        self.assertIn(ROMEO, answer)
        self.assertEqual(answer.count("<item"), 1)
        self.assertEqual(self.listed(), ["contact", "contact"])

    def test_lists(self) -> None:
        """A privacy list that cannot be read is none; the others are in force."""
        for key, value in {
            "list bad": b"<list name='bad'",
            "list worse": b"<list name='worse'><item action='perhaps' order='1'/></list>",
            "list good": b"<list xmlns='jabber:iq:privacy' name='good'>"
            b"<item action='deny' order='1'><message/></item></list>",
            "default": b"\xff",
        }.items():
            self.set_item("jabber:iq:privacy", key, value)
        self.house.server.privacy_lists.forget(JULIET)
        (juliet,) = self.house.connect("juliet")
        juliet.received()
        juliet.send("<iq type='get' id='l'><query xmlns='jabber:iq:privacy'/></iq>")
        (answer,) = juliet.received()
        self.assertIn("good", answer)
        self.assertNotIn("bad", answer)
        self.assertEqual(self.listed(), ["item"] * 3)


class AnswerTests(UnreadableCase):
    """What is kept for clients."""

    def asked(self, request: str) -> str:
        (juliet,) = self.house.connect("juliet")
        juliet.received()
        juliet.send(f"<iq type='get' id='q'>{request}</iq>")
        (answer,) = juliet.received()
        return answer

    def test_card(self) -> None:
        """A card that cannot be read is none, and does not end the stream of who asks."""
        for number, value in enumerate((b"<vCard", b"text", b"</iq>", b"<vCard></vCard", b"\xff")):
            self.set_item("vcard-temp", "", value)
            answer = self.asked("<vCard xmlns='vcard-temp'/>")
            self.assertTrue("error" in answer or "<vCard" in answer)
            self.assertEqual(len(self.listed()), number + 1)

    def test_private(self) -> None:
        """Of what a client keeps only what cannot be read is gone."""
        self.set_item("jabber:iq:private", "{urn:x}bad", b"<x xmlns='urn:x'")
        self.set_item("jabber:iq:private", "{urn:x}good", b"<good xmlns='urn:x'>kept</good>")
        answer = self.asked(
            "<query xmlns='jabber:iq:private'><bad xmlns='urn:x'/><good xmlns='urn:x'/></query>"
        )
        self.assertIn("kept", answer)
        self.assertEqual(self.listed(), ["item"])


class CommandTests(UnreadableCase):
    """What an administrator does with it."""

    def test_show_and_delete(self) -> None:
        """A record is shown as it was stored, and deleted; what is not there is refused."""
        self.store_message(b"<message \x1b[2J")
        self.house.connect("juliet")
        (row,) = self.office.rows("db quarantine list", account=JULIET)
        self.assertEqual(self.office.rows("db quarantine list", account=ROMEO), [])
        number = str(row["number"])
        fields = {
            r["field"]: r["value"] for r in self.office.rows("db quarantine show", number=number)
        }
        self.assertEqual(fields["account"], JULIET)
        self.assertEqual(fields["record.stanza"], "<message \x1b[2J")
        self.assertIn("deleted 1 record", self.office.says("db quarantine delete", number=number))
        for command in ("show", "delete"):
            refusal = self.office.refusal(f"db quarantine {command}", number=number)
            self.assertIn("no record in quarantine has the number", refusal)
        self.assertIn("is not a number", self.office.refusal("db quarantine show", number="x"))

    def test_delete_all(self) -> None:
        """All of them go at once; and they are counted before."""
        for stanza in BROKEN:
            self.store_message(stanza)
        self.house.connect("juliet")
        statistics = {row["statistic"]: row["value"] for row in self.office.rows("stats")}
        self.assertEqual(statistics["quarantined"], len(BROKEN))
        said = self.office.says("db quarantine delete", number="all")
        self.assertIn(f"deleted {len(BROKEN)} records", said)
        self.assertEqual(self.listed(), [])


class RestartTests(UnreadableCase):
    """Juliet may resume; three messages were sent to her, three wait, and the server is stopped."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.juliet.raw()
        self.resumption = self.juliet.enable()
        for number in range(3):
            self.romeo.send(message(f"sent {number}"))
        self.juliet.received()
        self.juliet.abort()
        for number in range(3):
            self.romeo.send(message(f"waits {number}"))
        self.house.stop_and_wait()

    def start(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Start again, when something of the saved session has been changed."""
        changed = []
        for saved in done(self.store.sessions.saved_sessions("")):
            shell = msgpack.decode(saved.data)
            change(shell)
            changed.append(replace(saved, data=msgpack.encode(shell)))
        done(self.store.sessions.save_sessions("", changed, theirs={}))
        self.house = self.house.again()
        self.office = Office(self.house)

    def come_back(self, h: int) -> list[str]:
        """What comes when she resumes, in a word each; the first says whether she may."""
        self.juliet = self.house.logged_in("juliet")
        return [word for stanza in self.juliet.resume(self.resumption, h) for word in _said(stanza)]

    def logs_in(self) -> list[str]:
        """What comes when she logs in anew, in a word each."""
        return [word for stanza in self.log_in() for word in _said(stanza)]

    def test_sent(self) -> None:
        """One that was sent cannot be read: the others keep their numbers, and she gets them."""

        def change(shell: dict[str, Any]) -> None:
            queue = shell["unacknowledged"]
            at = next(i for i, each in enumerate(queue) if b"sent 1" in each[0])
            queue[at][0] = b"<message"

        self.start(change)
        got = self.come_back(0)
        self.assertEqual(got, ["resumed", "sent 0", "sent 2", "waits 0", "waits 1", "waits 2"])
        self.assertEqual(self.listed(), ["stanza of a saved session"])

    def test_sent_and_counted(self) -> None:
        """She has counted it: what she has not got comes, and nothing twice."""

        def change(shell: dict[str, Any]) -> None:
            queue = shell["unacknowledged"]
            self.had = 1 + next(i for i, each in enumerate(queue) if b"sent 1" in each[0])
            queue[self.had - 1][0] = b"\xff"

        self.start(change)
        got = self.come_back(self.had)
        self.assertEqual(got, ["resumed", "sent 2", "waits 0", "waits 1", "waits 2"])

    def test_waiting(self) -> None:
        """Each of those that wait is read by itself, whatever is wrong with one."""
        for stanza in BROKEN:
            with self.subTest(stanza):
                self.setUp()

                def change(shell: dict[str, Any], stanza: bytes = stanza) -> None:
                    shell["waiting"][1][0] = stanza

                self.start(change)
                self.assertEqual(self.come_back(self.sent())[-2:], ["waits 0", "waits 2"])
                self.assertEqual(self.listed(), ["stanza of a saved session"])

    def sent(self) -> int:
        """How many stanzas she was sent."""
        (session,) = self.house.server.resumable_sessions.resumable()
        assert session.management is not None
        return session.management.sent

    def test_presence(self) -> None:
        """The presence cannot be read: she logs in anew, and gets all messages, in order."""
        for presence in (*BROKEN, b"<presence from='a@b/c' type='unavailable'/>"):
            with self.subTest(presence):
                self.setUp()

                def change(shell: dict[str, Any], presence: bytes = presence) -> None:
                    shell["presence"] = presence

                self.start(change)
                self.assertEqual(self.come_back(0), ["failed"])
                self.assertEqual(
                    [word for word in self.logs_in() if word[-1:].isdigit()],
                    ["sent 0", "sent 1", "sent 2", "waits 0", "waits 1", "waits 2"],
                )
                self.assertEqual(self.listed(), ["saved session"])

    def test_state(self) -> None:
        """What parts of the server know of her cannot be read: the same."""
        for name in ("privacy", "directed", "seen"):
            with self.subTest(name):
                self.setUp()

                def change(shell: dict[str, Any], name: str = name) -> None:
                    shell["state"][name] = b"\xc1"

                self.start(change)
                self.assertEqual(self.house.server.resumable_sessions.resumable(), [])
                self.assertEqual(sum(word[-1:].isdigit() for word in self.logs_in()), 6)

    def test_numbers(self) -> None:
        """Counters and times that there are not stop no start, and no message."""
        for name, value in {
            "settled": "perhaps",
            "presence": 7,
            "positions": [1],
            "state": None,
            "sent": -1,
            "handled": 2**32,
            "since": float("nan"),
            "left_s": float("inf"),
            "max_s": float("nan"),
            "saved": [float("nan"), 0.0, ""],
        }.items():
            with self.subTest(name):
                self.setUp()

                def change(shell: dict[str, Any], name: str = name, value: object = value) -> None:
                    shell[name] = value

                self.start(change)
                self.assertEqual(self.listed(), ["saved session"])
                self.assertEqual(sum(word[-1:].isdigit() for word in self.logs_in()), 6)

    def test_address(self) -> None:
        """Nobody's session is nobody's, and the server starts."""
        for jid in ("@", "juliet@montague.lit", "romeo@montague.lit/1", 7):
            with self.subTest(jid):
                self.setUp()

                def change(shell: dict[str, Any], jid: object = jid) -> None:
                    shell["jid"] = jid

                self.start(change)
                self.assertEqual(self.listed(), ["saved session"])
                self.assertEqual(self.come_back(0), ["failed"])

    def test_all_of_it(self) -> None:
        """Nothing of it can be read: the server starts, and she logs in."""
        for data in (b"", b"\xc1", b"{}", msgpack.encode({}), msgpack.encode([1, 2])):
            with self.subTest(data):
                self.setUp()
                sessions = done(self.store.sessions.saved_sessions(""))
                changed = [replace(saved, data=data) for saved in sessions]
                done(self.store.sessions.save_sessions("", changed, theirs={}))
                self.house = self.house.again()
                self.office = Office(self.house)
                self.assertEqual(self.listed(), ["saved session"])
                self.logs_in()

    def test_killed(self) -> None:
        """Also after a kill its other messages wait, however often the server was killed."""

        def change(shell: dict[str, Any]) -> None:
            shell["waiting"][1][0] = b"<message"

        self.start(change)
        self.house = self.house.again()
        self.office = Office(self.house)
        words = [word for word in self.logs_in() if word[-1:].isdigit()]
        self.assertEqual(words, ["sent 0", "sent 1", "sent 2", "waits 0", "waits 2"])
        self.assertEqual(self.listed(), ["stanza of a saved session"])


def _said(stanza: str) -> list[str]:
    """The body of a message, or the name of what is none; nothing of what only the server says."""
    if "<body>" in stanza:
        return [stanza.partition("<body>")[2].partition("<")[0]]
    return [name for name in ("resumed", "failed") if f"<{name}" in stanza]
