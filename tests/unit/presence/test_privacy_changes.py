"""PrivacyChanges: lists that change while something else is going on."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.test_privacy_lists import denied, listed, presences, put, query, use
from tests.support import SlowStore
from xmppd.testing.client import Client
from xmppd.testing.house import House

JULIET = "juliet@montague.lit/1"
AWAY = "<presence><show>away</show></presence>"
PEOPLE = ("romeo", "nurse", "tybalt")


class MeanwhileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.store = SlowStore()
        self.house = House(
            plugins=("privacy_lists", "blocking", "invisible"),
            store=self.store,
            juliet=dict.fromkeys(PEOPLE, "both"),
            **{name: {"juliet": "both"} for name in PEOPLE},  # type: ignore[arg-type]
        )
        self.juliet, *self.others = self.house.connect("juliet", *PEOPLE)
        self.clear()

    def clear(self) -> None:
        for client in (self.juliet, *self.others):
            client.raw()

    def seen(self, client: Client) -> list[str]:
        return [type for name, type in presences(client.received()) if name == JULIET]

    def test_mid_broadcast(self) -> None:
        """A list that comes in the middle of a long broadcast holds when that is told; each has
        heard one goodbye, and no more.
        """
        put(self.juliet, listed("l", denied("presence-out")))
        self.clear()
        self.house.server.broadcasts.contacts_per_slice = 1
        for change in ("<active name='l'/>", "<active/>", "<active name='l'/>"):
            self.juliet.send(AWAY)
            self.juliet.send(f"<iq type='set' id='a'>{query(change)}</iq>")
            for _ in range(5):
                self.house.clock.advance(0)
        for client in self.others:
            with self.subTest(client=client.jid):
                self.assertEqual(
                    self.seen(client), ["here", "unavailable", "here", "here", "unavailable"]
                )
        self.juliet.send(AWAY)
        self.juliet.abort()
        self.house.clock.advance(0)
        for client in self.others:
            self.assertEqual(self.seen(client), [])

    def test_hide_mid_broadcast(self) -> None:
        """Who hides in the middle of a long broadcast is seen to leave by everybody, once."""
        self.house.server.broadcasts.contacts_per_slice = 1
        self.juliet.send(AWAY)
        self.juliet.send("<iq type='set' id='i'><invisible xmlns='urn:xmpp:invisible:1'/></iq>")
        self.juliet.send("<iq type='set' id='i'><visible xmlns='urn:xmpp:invisible:1'/></iq>")
        self.juliet.send(AWAY)
        for _ in range(10):
            self.house.clock.advance(0)
        for client in self.others:
            self.assertEqual(self.seen(client), ["here", "unavailable", "here"])

    def test_moved_mid_broadcast(self) -> None:
        """A contact that is moved to a hidden group in the middle of a broadcast has its goodbye
        last.
        """
        (other,) = self.house.connect("juliet/2")
        move = (
            "<iq type='set' id='g'><query xmlns='jabber:iq:roster'>"
            "<item jid='{}@montague.lit'><group>{}</group></item></query></iq>"
        )
        self.juliet.send(move.format("romeo", "Enemies"))
        use(self.juliet, denied("presence-out", "type='group' value='Enemies'"))
        self.clear()
        self.house.server.broadcasts.contacts_per_slice = 1
        self.juliet.send(AWAY)
        for name in PEOPLE:
            other.send(move.format(name, "Enemies"))
        for _ in range(5):
            self.house.clock.advance(0)
        for client in self.others:
            self.assertEqual([*self.seen(client), "unavailable"][-1], "unavailable")
            self.assertLessEqual(len(self.seen(client)), 2)
        self.assertEqual(self.seen(self.others[0]), [])

    def test_while_storing(self) -> None:
        """While a block is being stored the old rules hold, and the next stanza obeys the new."""
        self.store.slow = True
        self.juliet.send(
            "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
            "<item jid='romeo@montague.lit'/></block></iq>"
        )
        self.assertEqual(self.seen(self.others[0]), [])
        self.store.slow = False
        self.store.release_all()
        self.assertEqual(self.seen(self.others[0]), ["unavailable"])
        self.assertEqual(self.seen(self.others[1]), [])

    def test_group_while_storing(self) -> None:
        """A contact that is moved hears the goodbye also if the session leaves before that is
        stored.
        """
        move = (
            "<iq type='set' id='g'><query xmlns='jabber:iq:roster'>"
            "<item jid='romeo@montague.lit'><group>{}</group></item></query></iq>"
        )
        self.juliet.send(move.format("Enemies"))
        put(self.juliet, listed("l", denied("presence-out", "type='group' value='Enemies'")))
        self.juliet.send(move.format("Friends"))
        put(self.juliet, "<active name='l'/>")
        self.clear()
        self.store.slow = self.store.late = True
        self.juliet.send(move.format("Enemies"))
        self.store.release()  # who asks has an account
        self.juliet.abort()
        self.store.slow = False
        self.store.release_all()
        self.assertEqual(self.seen(self.others[0]), ["unavailable"])


MOVE = (
    "<iq type='set' id='g'><query xmlns='jabber:iq:roster'>"
    "<item jid='{}@montague.lit'><group>{}</group></item></query></iq>"
)
LISTS = {
    "out": denied("presence-out"),
    "in": denied("presence-in"),
    "all": denied(),
    "enemies": denied("presence-out", "type='group' value='Enemies'"),
    "foes": denied("presence-in", "type='group' value='Enemies'"),
    "resource": denied("presence-out", "type='jid' value='romeo@montague.lit/1'"),
    "both": denied("", "type='subscription' value='both'"),
}
BLOCK = (
    "<iq type='set' id='b'><{} xmlns='urn:xmpp:blocking'><item jid='{}@montague.lit'/></{}></iq>"
)
INVISIBLE = "<iq type='set' id='i'><{} xmlns='urn:xmpp:invisible:1'/></iq>"
EVERYBODY = ("juliet", *PEOPLE)

others = st.sampled_from(EVERYBODY)
stanzas = st.one_of(
    st.sampled_from(("<presence/>", AWAY)),
    st.builds("<presence to='{}@montague.lit'/>".format, others),
    st.sampled_from([f"<active name='{name}'/>" for name in LISTS]).map(
        lambda active: f"<iq type='set' id='a'>{query(active)}</iq>"
    ),
    st.just(f"<iq type='set' id='a'>{query('<active/>')}</iq>"),
    st.builds(lambda kind, name: BLOCK.format(kind, name, kind),
              st.sampled_from(("block", "unblock")), others),
    st.builds(MOVE.format, others, st.sampled_from(("Friends", "Enemies"))),
    st.builds(INVISIBLE.format, st.sampled_from(("invisible", "visible"))),
)  # fmt: skip


class PromiseTests(SynchronousTestCase):
    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(others, stanzas), max_size=25))
    def test_everybody_is_seen_to_leave(self, said: list[tuple[str, str]]) -> None:
        """Whatever lists, blocks, groups and invisibility do: who was seen is seen to leave, once,
        at the latest when the session ends.
        """
        house = House(plugins=("privacy_lists", "blocking", "invisible"))
        for name in EVERYBODY:
            house.add(name, {other: "both" for other in EVERYBODY if other != name})
        clients = dict(zip(EVERYBODY, house.connect(*EVERYBODY), strict=True))
        here = {name: {f"{other}@montague.lit/1" for other in EVERYBODY} for name in EVERYBODY}
        for client in clients.values():
            for name in EVERYBODY:
                client.send(MOVE.format(name, "Enemies"))
            for name, items in LISTS.items():
                put(client, listed(name, items))
        for name, stanza in said:
            clients[name].send(stanza)
            self.look(clients, here)
        for name in EVERYBODY:
            clients.pop(name).abort()
            self.look(clients, here)
            for viewer in clients:
                self.assertNotIn(f"{name}@montague.lit/1", here[viewer], viewer)

    def look(self, clients: dict[str, Client], here: dict[str, set[str]]) -> None:
        """Note who is seen to come and go."""
        for viewer, client in clients.items():
            for name, type in presences(client.received()):
                if name is None or viewer in name:
                    if type == "unavailable":
                        here[viewer].clear()  # who is not available is told no more
                    continue
                if type == "here":
                    here[viewer].add(name)
                elif type == "unavailable" and "/" in name:
                    self.assertIn(name, here[viewer], viewer)
                    here[viewer].discard(name)
