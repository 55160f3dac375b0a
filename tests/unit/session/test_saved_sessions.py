"""Servers that stop and start again, and the sessions that do not notice."""

import re
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support import SlowStore
from xmppd.events import OWNER
from xmppd.server.xmpp_server import XMPPServer
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_state import SessionState
from xmppd.stanza import ns
from xmppd.testing.client import Client, Elsewhere, done
from xmppd.testing.house import House

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


def told_of_people(client: Client) -> list[str]:
    """What came, but for what the server itself wants to know."""
    return [word for word in map(said, client.received()) if word not in ("r", "get")]


class RestartCase(SynchronousTestCase):
    """Romeo and Juliet see each other; both may resume, the nurse may not."""

    plugins: ClassVar[tuple[str, ...]] = ()

    def setUp(self) -> None:
        self.store = SlowStore()
        self.house = House(
            DOMAIN, store=self.store, plugins=self.plugins,
            romeo={"juliet": "both", "nurse": "both"},
            juliet={"romeo": "both", "nurse": "both"},
            nurse={"juliet": "both", "romeo": "both"},
        )  # fmt: skip
        names = ("romeo", "juliet", "nurse")
        self.romeo, self.juliet, self.nurse = self.house.connect(*names)
        for client in (self.romeo, self.juliet, self.nurse):
            client.raw()
        self.ids = {client: client.enable() for client in (self.romeo, self.juliet)}

    def restart(self) -> None:
        self.house = self.house.restarted()

    def come_back(self, client: Client, h: int = 0) -> tuple[Client, list[str]]:
        """Resume on the new server; what came then."""
        assert client.jid is not None
        again = self.house.logged_in(client.jid.bare)
        return again, [said(stanza) for stanza in again.resume(self.ids[client], h)]

    def stored(self, account: str = JULIET) -> list[str]:
        return [
            said(each.stanza.decode())
            for each in done(self.store.offline.offline_messages(account))
        ]

    def wait(self, seconds: float) -> None:
        """Turn the clock."""
        for _ in range(int(seconds)):
            self.house.clock.advance(1)


class ElsewhereTests(SynchronousTestCase):
    """A session with a contact on another server."""

    def test_restart(self) -> None:
        """Who is elsewhere is asked and told, and is seen to leave though that was not heard."""
        there = "friar@mantua.lit"
        house = House(DOMAIN, store=SlowStore(), romeo={there: "both"})
        elsewhere = Elsewhere(house)
        (romeo,) = house.connect("romeo")
        elsewhere.send(f"<presence from='{there}/cell' to='{ROMEO}'/>")
        romeo.received()
        id = romeo.enable()
        house = house.restarted()
        elsewhere = Elsewhere(house)
        (session,) = house.server.session_manager.local_sessions(ROMEO)
        house.server.presence_manager.look_elsewhere_again(session)
        self.assertEqual([said(stanza) for stanza in elsewhere.heard()], ["probe", "presence"])
        elsewhere.send(f"<presence from='{there}/cell' to='{ROMEO}' type='unavailable'/>")
        told = house.logged_in("romeo").resume(id, 0)
        self.assertEqual([said(stanza) for stanza in told], ["resumed", "unavailable"])


class RestartTests(RestartCase):
    """The server is stopped and started."""

    def test_silence(self) -> None:
        """Who may resume is told that the server stops, resumes, and has seen nobody leave."""
        self.romeo.send(message("a"))
        self.restart()
        self.assertIn(b"<system-shutdown ", self.juliet.raw())
        romeo, told = self.come_back(self.romeo)
        self.assertEqual(told, ["resumed", "unavailable"])  # that is the nurse
        juliet, told = self.come_back(self.juliet)
        self.assertEqual(told, ["resumed", "a", "unavailable"])
        romeo.send(message("b"))
        juliet.send(message("c", ROMEO))
        self.assertEqual([said(s) for s in juliet.received()], ["b"])
        self.assertEqual([said(s) for s in romeo.received()], ["c"])
        self.assertEqual(self.stored(), [])

    def test_counters(self) -> None:
        """Counters go on where they were."""
        self.romeo.send(message("a") + message("b"))
        self.juliet.send(message("c", ROMEO))
        self.restart()
        juliet = self.house.logged_in("juliet")
        answer, *late = juliet.resume(self.ids[self.juliet], 1)
        self.assertIn("h='1'", answer)
        self.assertEqual([said(stanza) for stanza in late], ["b", "unavailable"])
        juliet.send(f"<r xmlns='{SM}'/><a xmlns='{SM}' h='3'/>")
        self.assertEqual(juliet.raw(), f"<a xmlns='{SM}' h='1'/>".encode())

    def test_asleep_before(self) -> None:
        """A session that slept already sleeps on, with what waited for it."""
        self.romeo.send(message("a"))
        self.juliet.abort()
        self.romeo.send(message("b") + "<presence><status>hm</status></presence>")
        self.romeo.send("<presence><status>oh</status></presence>")
        self.restart()
        _, told = self.come_back(self.juliet)
        self.assertEqual(told, ["resumed", "a", "b", "oh", "unavailable"])

    def test_stamps(self) -> None:
        """Messages say when they came, once, however often the server was restarted."""
        self.romeo.send(message("a"))
        self.restart()
        self.restart()
        self.wait(400)
        (stored,) = done(self.store.offline.offline_messages(JULIET))
        stamps = re.findall("stamp='([^']*)'", stored.stanza.decode())
        self.assertEqual(stamps, ["2023-11-14T22:13:20Z"])

    def test_not_back_in_time(self) -> None:
        """Who does not come back is gone, once; who does is not."""
        self.restart()
        romeo, _ = self.come_back(self.romeo)
        (nurse,) = self.house.connect("nurse")
        romeo.raw()
        self.wait(290)
        nurse.send(" ")
        romeo.send(" ")
        self.assertEqual(told_of_people(romeo) + told_of_people(nurse), [])
        self.wait(30)
        for client in (romeo, nurse):
            self.assertEqual(told_of_people(client), ["unavailable"])

    def test_long_stop(self) -> None:
        """The time that the server was down counts."""
        stopping = self.house.stop()
        self.wait(10)
        done(stopping)
        self.wait(400)
        self.house = self.house.again()
        self.wait(20)
        _, told = self.come_back(self.juliet)
        self.assertEqual(told, ["failed"])

    def test_presence(self) -> None:
        """Who comes back after the restart sees who sleeps, as before."""
        self.juliet.send("<presence><priority>7</priority><status>hm</status></presence>")
        self.restart()
        session = self.house.server.session_manager.session(self.house.jid(JULIET + "/1"))
        assert session is not None
        self.assertEqual((session.priority, session.detached), (7, True))
        nurse = self.house.bind("nurse")
        nurse.send("<presence/>")
        self.assertEqual(min(said(s) for s in nurse.received()), "hm")

    def test_directed_presence(self) -> None:
        """A stranger who was told in private is told the goodbye as well."""
        self.house.add("tybalt")
        (tybalt,) = self.house.connect("tybalt")
        self.ids[tybalt] = tybalt.enable()
        self.juliet.send(f"<presence to='tybalt@{DOMAIN}/1'/>")
        tybalt.raw()
        self.restart()
        tybalt, told = self.come_back(tybalt, 1)
        self.assertEqual(told, ["resumed"])
        self.wait(320)
        tybalt.send(" ")
        self.assertEqual(told_of_people(tybalt), ["unavailable"])

    def test_not_available(self) -> None:
        """A session that sent no presence, and asked for no roster, has none afterwards."""
        bound = self.house.bind("romeo", "quiet")
        bound.enable()
        self.restart()
        session = self.house.server.session_manager.session(self.house.jid(ROMEO + "/quiet"))
        assert session is not None
        self.assertEqual((session.presence, session.interested), (None, False))

    def test_offline_messages(self) -> None:
        """What it was given from the store comes once, whether it had answered or not."""
        self.juliet.send("</stream:stream>")
        self.romeo.send(message("a") + message("b"))
        self.juliet = self.house.bind("juliet")
        self.ids[self.juliet] = self.juliet.enable()
        self.juliet.send("<presence/>")
        told = [said(stanza) for stanza in self.juliet.received()]
        self.assertEqual(told[-3:], ["a", "b", "get"])
        self.restart()
        self.assertEqual(self.stored(), [])
        (other,) = self.house.connect("juliet/2")
        _, told = self.come_back(self.juliet, len(told) - 2)
        self.assertEqual([text for text in told if text in "ab"], ["b"])
        self.assertNotIn(b"<body>", other.raw())

    def test_at_work(self) -> None:
        """A stanza that is being handled when the server stops is counted."""
        self.house.add("tybalt")
        self.store.slow = True
        self.romeo.send(message("a", f"tybalt@{DOMAIN}"))
        stopping = self.house.stop()
        self.wait(10)
        self.store.release_all()
        self.store.slow = False
        done(stopping)
        self.house = self.house.again()
        romeo = self.house.logged_in("romeo")
        self.assertIn("h='1'", romeo.resume(self.ids[self.romeo], 0)[0])

    def test_ids_are_not_kept(self) -> None:
        """Who reads the store finds no id by which a session could be resumed."""
        stopping = self.house.stop()
        self.wait(10)
        done(stopping)
        for saved in done(self.store.sessions.saved_sessions("")):
            for id in self.ids.values():
                self.assertNotIn(id.encode(), saved.key + saved.data)

    def test_never_started(self) -> None:
        """A server that is stopped before it has started leaves alone what is kept."""
        stopping = self.house.stop()
        self.wait(10)
        done(stopping)
        config = self.house.server.config
        done(XMPPServer(config, self.store, self.house).stop())
        self.house = self.house.again()
        self.assertEqual(self.come_back(self.juliet)[1][0], "resumed")

    def test_unknown_state(self) -> None:
        """What somebody saved who is not loaded any more is left alone."""
        loaded: list[LocalClientSession] = []
        state = SessionState("x", _dump, lambda data: loaded.append)
        self.house.server.saved_sessions.put(state, OWNER)
        self.restart()
        self.assertEqual(self.come_back(self.juliet)[1][0], "resumed")
        self.assertEqual(loaded, [])

    def test_state_returns(self) -> None:
        """It is kept with the session, over more restarts too, for when that somebody is back; and
        so it is when a plugin is read anew.
        """
        loaded: list[LocalClientSession] = []
        state = SessionState("x", _dump, lambda data: loaded.append)
        self.house.server.saved_sessions.put(state, "x")
        for _ in range(2):
            self.restart()
        juliet, _ = self.come_back(self.juliet)
        take_out = self.house.server.saved_sessions.put(state, "x")
        self.assertIn(juliet.session, loaded)
        take_out()
        loaded.clear()
        self.house.server.saved_sessions.put(state, "x")
        self.assertIn(juliet.session, loaded)


def _dump(session: LocalClientSession) -> bytes:
    return session.jid.wire


class PrivacyTests(RestartCase):
    """What is in force for a session."""

    plugins: ClassVar[tuple[str, ...]] = ("privacy_lists", "invisible")

    def test_active_list(self) -> None:
        """The active list is in force behind the restart."""
        self.juliet.send(
            "<iq type='set' id='1'><query xmlns='jabber:iq:privacy'><list name='l'>"
            f"<item type='jid' value='{ROMEO}' action='deny' order='1'><message/></item></list>"
            "</query></iq>"
            "<iq type='set' id='2'><query xmlns='jabber:iq:privacy'><active name='l'/></query></iq>"
        )
        self.restart()
        romeo, _ = self.come_back(self.romeo)
        romeo.send(message("a"))
        self.assertEqual([said(s) for s in romeo.received()], ["error"])

    def test_invisible(self) -> None:
        """Who was invisible is."""
        self.juliet.send("<iq type='set' id='1'><invisible xmlns='urn:xmpp:invisible:1'/></iq>")
        self.juliet.send("<presence/>")
        self.restart()
        nurse = self.house.bind("nurse")
        nurse.send("<presence/>")
        self.assertNotIn(JULIET.encode(), nurse.raw())


class BlocklistTests(RestartCase):
    """What a plugin knows of a session."""

    plugins: ClassVar[tuple[str, ...]] = ("blocking",)

    def test_pushes(self) -> None:
        """A client that has asked for the blocklist hears of its changes behind a restart."""
        self.juliet.send("<iq type='get' id='1'><blocklist xmlns='urn:xmpp:blocking'/></iq>")
        self.restart()
        juliet, _ = self.come_back(self.juliet)
        juliet.send(
            "<iq type='set' id='2'><block xmlns='urn:xmpp:blocking'><item jid='x@y.lit'/></block>"
            "</iq>"
        )
        self.assertIn(b"id='block-0'", juliet.raw())


class KilledTests(RestartCase):
    """The server dies after a restart."""

    def test_unread(self) -> None:
        """What sessions had not read when they were saved is not lost: it waits in the store."""
        self.romeo.send(message("a"))
        self.juliet.send(message("b", ROMEO))
        self.restart()
        self.house = self.house.again()
        self.assertEqual((self.stored(JULIET), self.stored(ROMEO)), (["a"], ["b"]))
        self.assertEqual(self.come_back(self.juliet)[1], ["failed"])
        self.house = self.house.again()
        self.assertEqual((self.stored(JULIET), self.stored(ROMEO)), (["a"], ["b"]))

    def test_acknowledged(self) -> None:
        """What was acknowledged since is not given again."""
        self.romeo.send(message("a"))
        self.restart()
        juliet, told = self.come_back(self.juliet)
        juliet.send(f"<a xmlns='{SM}' h='{len(told) - 1}'/>")
        self.wait(20)
        self.house = self.house.again()
        self.assertEqual(self.stored(), [])

    def test_ended(self) -> None:
        """What found another place since is not given twice."""
        self.romeo.send(message("a"))
        self.restart()
        self.wait(350)
        self.house = self.house.again()
        self.assertEqual(self.stored(), ["a"])
