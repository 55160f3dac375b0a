"""RFC 6121 Appendix A, cell by cell, through the whole server."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.handler.presence_subscribe_handler import MAX_REQUEST_BYTES
from xmppd.roster.subscription import RECEIVED, SENT, State, in_state, state_of
from xmppd.stanza import JID, Presence
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import Client, done
from xmppd.testing.house import House

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
REQUEST = Presence.make(JID.parse(ROMEO), JID.parse(JULIET), type="subscribe").wire()
KINDS = ("subscribe", "unsubscribe", "subscribed", "unsubscribed")

# The tables as the RFC prints them, row by row, written anew: "+" goes on, "-" does not.
ROWS = (
    State.NONE, State.NONE_OUT, State.NONE_IN, State.NONE_OUT_IN, State.TO, State.TO_IN,
    State.FROM, State.FROM_OUT, State.BOTH,
)  # fmt: skip
N, NO, NI, NOI, T, TI, F, FO, B = ROWS
NAMES = dict(zip(["N", "NO", "NI", "NOI", "T", "TI", "F", "FO", "B"], ROWS, strict=True))


def row(text: str) -> tuple[tuple[State, str], ...]:
    """A column of the appendix: for each state, which follows and whether it goes on."""
    return tuple((NAMES[cell[:-1]], cell[-1]) for cell in text.split())


APPENDIX_A2 = {  # from     N   NO  NI   NOI  T  TI  F   FO  B
    "subscribe": row("NO+ NO+ NOI+ NOI+ T+ TI+ FO+ FO+ B+"),
    "unsubscribe": row("N+ N+ NI+ NI+ N+ NI+ F+ F+ F+"),
    "subscribed": row("N- NO- F+ FO+ T- B+ F- FO- B-"),
    "unsubscribed": row("N- NO- N+ NO+ T- T+ N+ NO+ T+"),
}
APPENDIX_A3 = {
    "subscribe": row("NI+ NOI+ NI- NOI- TI+ TI- F- FO- B-"),
    "unsubscribe": row("N- NO- N+ NO+ T- T+ N+ NO+ T+"),
    "subscribed": row("N- T+ NI- TI+ T- TI- F- B+ B-"),
    "unsubscribed": row("N- N+ NI- NI+ N+ NI+ F- F+ F+"),
}


class Wire:
    """A route to other servers that keeps what was sent there."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def deliver(self, stanza: object, wire: bytes) -> bool:
        self.sent.append(wire.decode())
        return True


def item_in(state: State) -> RosterItem | None:
    """The owner's item for the contact in this state."""
    if state is State.NONE:
        return None
    return in_state(RosterItem(JULIET), state, REQUEST)


def stanza(kind: str, sender: str, to: str) -> str:
    """A subscription stanza as it leaves the server."""
    return f"<presence from='{sender}' to='{to}' type='{kind}'/>"


class TableTests(SynchronousTestCase):
    """Nine states, four stimuli, two directions."""

    def setUp(self) -> None:
        self.house = House("montague.lit")
        self.house.add("romeo")
        self.house.add("juliet")

    def romeo_in(self, state: State) -> Client:
        """Romeo, with a roster in which Juliet is in this state, available."""
        self.house = House("montague.lit", romeo={})
        self.elsewhere = Wire()
        item = item_in(state)
        if item is not None:
            item = RosterItem(
                "juliet@capulet.lit", subscription=item.subscription, ask=item.ask,
                pending_in=item.pending_in,
            )  # fmt: skip
            done(self.house.store.rosters.save_roster_items(ROMEO, [item]))
        self.house.server.routing_table.foreign = self.elsewhere
        (romeo,) = self.house.connect("romeo")
        self.elsewhere.sent.clear()
        return romeo

    def stored(self) -> RosterItem | None:
        """What the store knows of Juliet."""
        for item in done(self.house.store.rosters.roster(ROMEO)).items:
            if item.jid == "juliet@capulet.lit":
                return item
        return None

    def test_tables_agree(self) -> None:
        """The code's table is the RFC's (PS-12)."""
        for ours, theirs in ((SENT, APPENDIX_A2), (RECEIVED, APPENDIX_A3)):
            for kind in KINDS:
                for state, (after, passes) in zip(ROWS, theirs[kind], strict=True):
                    with self.subTest(kind=kind, state=state):
                        self.assertEqual(ours[kind][state], (after, passes == "+"))

    def test_every_cell_sent(self) -> None:
        """What a user sends moves its own side, and goes on or not (§A.2)."""
        for kind in KINDS:
            for state, (after, passes) in zip(ROWS, APPENDIX_A2[kind], strict=True):
                with self.subTest(kind=kind, state=state):
                    romeo = self.romeo_in(state)
                    romeo.send(f"<presence type='{kind}' to='juliet@capulet.lit/any'/>")
                    sent = [
                        s for s in self.elsewhere.sent
                        if f"type='{kind}'" in s and "from='romeo@montague.lit'" in s
                    ]  # fmt: skip
                    expected = [stanza(kind, ROMEO, "juliet@capulet.lit")] if passes == "+" else []
                    self.assertEqual(sent, expected)
                    self.assertIs(state_of(self.stored()), after)
                    approval = kind == "subscribed" and state in (N, NO, T)
                    self.assertEqual((self.stored() or RosterItem(JULIET)).approved, approval)
                    pushes = [s for s in romeo.received() if s.startswith("<iq")]
                    # a request that ends unseen was never in the roster that Romeo sees
                    unseen = (state, after) == (NI, N)
                    changes = (after is not state or approval) and not unseen
                    self.assertEqual(len(pushes), int(changes), (kind, state))

    def test_every_cell_received(self) -> None:
        """What comes from a contact moves the user's side, and is shown or not (§A.3)."""
        for kind in KINDS:
            for state, (after, passes) in zip(ROWS, APPENDIX_A3[kind], strict=True):
                with self.subTest(kind=kind, state=state):
                    romeo = self.romeo_in(state)
                    presence = Presence.make(
                        JID.parse(ROMEO), JID.parse("juliet@capulet.lit"), type=kind
                    )
                    done(self.house.server.presence_subscribe_handler.process(presence))
                    got = romeo.received()
                    shown = [s for s in got if s.startswith("<presence")]
                    expected = [stanza(kind, "juliet@capulet.lit", ROMEO)] if passes == "+" else []
                    self.assertEqual(shown, expected)
                    self.assertIs(state_of(self.stored()), after)
                    pushes = [s for s in got if s.startswith("<iq")]
                    visible = kind != "subscribe" and after is not state and state is not NI
                    self.assertEqual(len(pushes), int(visible), (kind, state, got))

    def test_answered_for_the_contact(self) -> None:
        """A request by somebody who sees the user already is answered in its name (PS-6)."""
        for state in (F, FO, B):
            with self.subTest(state=state):
                self.romeo_in(state)
                presence = Presence.make(
                    JID.parse(ROMEO), JID.parse("juliet@capulet.lit"), type="subscribe"
                )
                done(self.house.server.presence_subscribe_handler.process(presence))
                self.assertEqual(
                    self.elsewhere.sent[0], stanza("subscribed", ROMEO, "juliet@capulet.lit")
                )

    def test_presence_follows(self) -> None:
        """Elsewhere, too, an approval is followed by presence, and its end by goodbye (PS-8)."""
        romeo = self.romeo_in(NI)
        romeo.send("<presence type='subscribed' to='juliet@capulet.lit'/>")
        self.assertEqual(
            self.elsewhere.sent,
            [
                stanza("subscribed", ROMEO, "juliet@capulet.lit"),
                "<presence from='romeo@montague.lit/1' to='juliet@capulet.lit'/>",
            ],
        )
        self.elsewhere.sent.clear()
        romeo.send("<presence type='unsubscribed' to='juliet@capulet.lit'/>")
        self.assertEqual(
            self.elsewhere.sent,
            [
                stanza("unavailable", "romeo@montague.lit/1", "juliet@capulet.lit"),
                stanza("unsubscribed", ROMEO, "juliet@capulet.lit"),
            ],
        )


class RequestTests(SynchronousTestCase):
    def test_long_request(self) -> None:
        """A request is shown as it came; of a very long one only the request is remembered."""
        house = House("montague.lit", romeo={}, juliet={})
        romeo, juliet = house.connect("romeo", "juliet")
        status = f"<status>{'x' * MAX_REQUEST_BYTES}</status>"
        romeo.send(f"<presence to='{JULIET}' type='subscribe'>{status}</presence>")
        self.assertIn(status, "".join(juliet.received()))
        juliet.abort()
        juliet = house.bind("juliet")
        juliet.send("<presence/>")
        self.assertIn(stanza("subscribe", ROMEO, JULIET), juliet.received())


class BothSidesTests(SynchronousTestCase):
    """Two accounts of one server: every cell leaves the two rosters agreeing."""

    MIRROR = {
        N: N, NO: NI, NI: NO, NOI: NOI, T: F, TI: FO, F: T, FO: TI, B: B,
    }  # fmt: skip

    def test_rosters_agree(self) -> None:
        """From agreeing states, every stanza leads to agreeing states."""
        for kind in KINDS:
            for state in ROWS:
                with self.subTest(kind=kind, state=state):
                    house = House("montague.lit", romeo={}, juliet={})
                    self.put(house, ROMEO, JULIET, state)
                    self.put(house, JULIET, ROMEO, self.MIRROR[state])
                    romeo, _ = house.connect("romeo", "juliet")
                    romeo.send(f"<presence type='{kind}' to='{JULIET}'/>")
                    mine, theirs = (
                        self.state(house, ROMEO, JULIET),
                        self.state(house, JULIET, ROMEO),
                    )
                    self.assertIs(mine, APPENDIX_A2[kind][ROWS.index(state)][0])
                    self.assertIs(theirs, self.MIRROR[mine])

    def put(self, house: House, owner: str, contact: str, state: State) -> None:
        """Let the contact be in this state."""
        if state is not State.NONE:
            request = Presence.make(JID.parse(owner), JID.parse(contact), type="subscribe").wire()
            item = in_state(RosterItem(contact), state, request)
            done(house.store.rosters.save_roster_items(owner, [item]))

    def state(self, house: House, owner: str, contact: str) -> State:
        """The state the store knows."""
        items = {item.jid: item for item in done(house.store.rosters.roster(owner)).items}
        return state_of(items.get(contact))
