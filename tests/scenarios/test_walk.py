"""One presence's walk through the house, stage by stage and byte by byte."""

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from xmppd.events import OWNER, On
from xmppd.handler.presence_update_handler import PresenceUpdateHandler, SessionAvailable
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.presence.presence_manager import PresenceManager
from xmppd.roster.roster import Roster
from xmppd.router.packet_router import PacketRouter
from xmppd.router.presence_router import PresenceRouter
from xmppd.server.replaceable import class_of
from xmppd.stanza import JID, Presence
from xmppd.store.last_presences import LastPresence
from xmppd.store.rosters import RosterItem
from xmppd.testing.client import Client, done
from xmppd.testing.house import House

DOMAIN = "example.com"
STAGES: dict[type, tuple[str, ...]] = {
    PacketRouter: ("route",),
    PresenceRouter: ("route",),
    PresenceUpdateHandler: ("process",),
    Roster: ("broadcast",),
    PresenceManager: ("greet", "say_goodbye", "left"),
    OfflineMessageFlood: ("flood",),
}


def traced(stage: object, trace: list[str]) -> None:
    """Let a stage write down when it is entered, as a plugin's subclass would."""
    made, kind = type(stage), class_of(stage)

    def noted(name: str) -> Callable[..., Any]:
        method = getattr(made, name)

        def enter(self: object, *args: Any, **kwargs: Any) -> Any:
            trace.append(f"{kind.__name__}.{name}")
            return method(self, *args, **kwargs)

        return enter

    stage.__class__ = type(kind.__name__, (made,), {n: noted(n) for n in STAGES[kind]})


def overheard(client: Client, name: str, trace: list[str]) -> None:
    """Write down what is written to a client."""
    write = client.transport.write

    def listen(data: bytes) -> None:
        kind = data[1:].split(b" ")[0].decode()
        gone = " unavailable" if b"unavailable" in data else ""
        asks = " subscribe" if b"type='subscribe'" in data else ""
        trace.append(f"{kind}{gone}{asks} > {name}")
        write(data)

    client.transport.write = listen  # type: ignore[method-assign]


class Elsewhere:
    """The route to other servers."""

    def __init__(self, trace: list[str]) -> None:
        self.trace = trace

    def deliver(self, stanza: Any, wire: bytes) -> bool:
        self.trace.append(f"{stanza.name} {stanza.type or ''} > {stanza.to}".replace("  ", " "))
        return True


class WalkTests(SynchronousTestCase):
    """A becomes available. B is here twice, C is away, D is elsewhere, E may not see A."""

    def setUp(self) -> None:
        self.house = House(
            DOMAIN,
            a={"b": "both", "c": "both", "d@remote.org": "both", "e": "to"},
            b={"a": "both"},
            c={"a": "both"},
            e={"a": "from"},
            stranger={},
        )
        store = self.house.store
        request = Presence.make(
            JID.parse(f"a@{DOMAIN}"), JID.parse(f"x@{DOMAIN}"), type="subscribe"
        )
        item = RosterItem(f"x@{DOMAIN}", pending_in=request.wire())
        done(store.rosters.save_roster_items(f"a@{DOMAIN}", [item]))
        done(store.presences.save_last_presence(f"c@{DOMAIN}", LastPresence(1.0, "out")))
        (stranger,) = self.house.connect("stranger")
        stranger.send(f"<message to='a@{DOMAIN}'><body>hi</body></message>")
        self.trace: list[str] = []
        server = self.house.server
        server.routing_table.foreign = Elsewhere([])
        names = ("b/1", "b/2", "e/1")
        others = dict(zip(names, self.house.connect(*names), strict=True))
        self.a = self.house.bind("a", "home")
        server.routing_table.foreign = Elsewhere(self.trace)
        for stage in (
            server.packet_router, server.presence_router, server.presence_update_handler,
            server.presence_manager, server.offline_message_flood,
            done(server.roster_manager.roster(self.house.jid("a"))),
        ):  # fmt: skip
            traced(stage, self.trace)
        for name, client in {**others, "a/home": self.a}.items():
            overheard(client, name, self.trace)
        server.events.put(
            On(SessionAvailable, lambda event: self.trace.append("event: available")), OWNER
        )

    def test_first_presence(self) -> None:
        """State, broadcast, oneself; then what a newcomer is owed, and last what has waited."""
        self.a.send("<presence/>")
        self.assertEqual(
            self.trace,
            [
                "PacketRouter.route",
                "PresenceRouter.route",
                "PresenceUpdateHandler.process",
                "Roster.broadcast",
                "presence > b/1",
                "presence > b/2",
                "presence > d@remote.org",
                "presence > a/home",
                "event: available",
                "presence subscribe > a/home",
                "PresenceManager.greet",
                "presence > a/home",  # b/1
                "presence > a/home",  # b/2
                "presence > a/home",  # e/1
                "presence probe > d@remote.org",
                "presence unavailable > a/home",  # c, who is out
                "OfflineMessageFlood.flood",
                "message > a/home",
                "iq > a/home",
            ],
        )

    def test_state_first(self) -> None:
        """Whoever answers at once, while it is told, finds a route (PU-3)."""
        table = self.house.server.routing_table
        found: list[tuple[int, int]] = []
        a = f"a@{DOMAIN}"

        class Asking(Elsewhere):
            """Looks for A while it is told of A."""

            def deliver(self, stanza: Any, wire: bytes) -> bool:
                priority = table.bound[f"{a}/home"].priority
                found.append((len(table.available(a)), priority))
                return True

        table.foreign = Asking(self.trace)
        self.a.send("<presence><priority>7</priority></presence>")
        self.assertEqual(found[0], (1, 7))
        self.a.send("<presence type='unavailable'/>")
        self.assertEqual(found[-1][0], 0)

    def test_goodbye(self) -> None:
        """The wire breaks: contacts hear it, then who was told in private; then it is noted."""
        self.a.send("<presence/>")
        self.a.send(f"<presence to='e@{DOMAIN}'/>")
        self.trace.clear()
        self.a.abort()
        self.assertEqual(
            self.trace,
            [
                "PacketRouter.route",
                "PresenceRouter.route",
                "PresenceUpdateHandler.process",
                "Roster.broadcast",
                "presence unavailable > b/1",
                "presence unavailable > b/2",
                "presence unavailable > d@remote.org",
                "PresenceManager.say_goodbye",
                "presence unavailable > e/1",
                "PresenceManager.left",
            ],
        )
        self.assertIn(
            f"a@{DOMAIN}", done(self.house.store.presences.last_presence([f"a@{DOMAIN}"]))
        )
