"""XEP-0050: Ad-Hoc Commands."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from xmppd.command.ad_hoc import AdHocCommand
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError, Tree
from xmppd.stanza.form import Field, form, result
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config
from xmppd_plugins.adhoc_commands import (
    MAX_SESSIONS,
    MAX_SESSIONS_PER_REQUESTER,
    SESSION_S,
    Sessions,
)

NS = "http://jabber.org/protocol/commands"
ADMINS_ONLY = "urn:poison"


class Apothecary:
    """Commands to try, and what came of them."""

    def __init__(self) -> None:
        self.sold: list[str] = []

    def ask(self, iq: IQ) -> Element:
        """What somebody wants."""
        return form("urn:shop", "Shop", "What do you want?", Field("drug", required=True))

    async def sell(self, iq: IQ, values: dict[str, list[str]]) -> str:
        """Hand it over."""
        if values["drug"] == ["gold"]:
            raise StanzaError(Condition.CONFLICT, "worse poison")
        self.sold += values["drug"]
        return "Drink it off."

    async def show(self, iq: IQ, values: dict[str, list[str]]) -> Element:
        """What is on the shelves."""
        return result("urn:shop", Field("boxes", values=("empty",)))

    def commands(self) -> list[AdHocCommand]:
        """One for everybody with a form, one without, and one for administrators."""
        return [
            AdHocCommand("sell", "Sell", self.sell, form=self.ask, admins_only=False),
            AdHocCommand("show", "Show", self.show, admins_only=False),
            AdHocCommand(ADMINS_ONLY, "Sell poison", self.sell, form=self.ask),
        ]


def command(node: str, inside: str = "", **attributes: str) -> str:
    """A request."""
    rest = "".join(f" {name}='{value}'" for name, value in attributes.items())
    return f"<command xmlns='{NS}' node='{node}'{rest}>{inside}</command>"


def filled(drug: str, type: str = "submit") -> str:
    """The form, filled in."""
    field = f"<field var='drug'><value>{drug}</value></field>"
    return f"<x xmlns='jabber:x:data' type='{type}'>{field}</x>"


def execute(client: Client, node: str, inside: str = "", **attributes: str) -> Tree:
    """Ask for a command."""
    return ask(client, "set", command(node, inside, **attributes), "mantua.lit")


class CommandTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House("mantua.lit", plugins=("adhoc_commands",), romeo={}, balthasar={})
        self.shop = Apothecary()
        for part in self.shop.commands():
            self.house.server.ad_hoc_commands.put(part, "shop")
        self.romeo, self.balthasar = self.house.connect("romeo", "balthasar")

    def begin(self, client: Client | None = None) -> str:
        """The id of a session that waits for its form."""
        answer = execute(client or self.romeo, "sell")
        return answer[0].get("sessionid", "")

    def test_form(self) -> None:
        """Who executes a command with a form gets the form, and may complete it."""
        answer = execute(self.romeo, "sell")[0]
        self.assertEqual((answer.get("status"), answer.get("node")), ("executing", "sell"))
        actions = answer.find(f"{{{NS}}}actions")
        assert actions is not None
        self.assertEqual([actions.get("execute"), len(actions)], ["complete", 1])
        self.assertIsNotNone(answer.find("{jabber:x:data}x"))

    def test_complete(self) -> None:
        """A filled in form runs the command, with or without an action, and the note says so."""
        for action in ({"action": "complete"}, {"action": "execute"}, {}):
            session = self.begin()
            answer = execute(self.romeo, "sell", filled("poison"), sessionid=session, **action)[0]
            self.assertEqual(answer.get("status"), "completed")
            self.assertEqual(answer.get("sessionid"), session)
            self.assertEqual(answer.findtext(f"{{{NS}}}note"), "Drink it off.")
        self.assertEqual(self.shop.sold, ["poison"] * 3)

    def test_cancelled_form_is_a_filled_in_one(self) -> None:
        """A form of type cancel counts as submitted; the action says whether to cancel."""
        execute(self.romeo, "sell", filled("poison", "cancel"), sessionid=self.begin())
        self.assertEqual(self.shop.sold, ["poison"])

    def test_without_form(self) -> None:
        """A command that needs no form is done at once."""
        answer = execute(self.romeo, "show")[0]
        self.assertEqual(answer.get("status"), "completed")
        self.assertTrue(answer.get("sessionid"))
        self.assertIn("empty", "".join(answer.itertext()))

    def test_cancel(self) -> None:
        """Who cancels is told so, and nothing was done."""
        session = self.begin()
        answer = execute(self.romeo, "sell", sessionid=session, action="cancel")[0]
        self.assertEqual((answer.get("status"), len(answer)), ("canceled", 0))
        again = execute(self.romeo, "sell", filled("poison"), sessionid=session)
        self.assertEqual(condition(again), "not-allowed session-expired")
        self.assertEqual(self.shop.sold, [])

    def test_replay(self) -> None:
        """What was completed is not done a second time."""
        session = self.begin()
        for _ in range(2):
            answer = execute(self.romeo, "sell", filled("poison"), sessionid=session)
        self.assertEqual(condition(answer), "not-allowed session-expired")
        self.assertEqual(self.shop.sold, ["poison"])

    def test_failure(self) -> None:
        """What goes wrong in a command is told, and ends its session."""
        session = self.begin()
        answer = execute(self.romeo, "sell", filled("gold"), sessionid=session)
        self.assertEqual(condition(answer), "conflict")
        answer = execute(self.romeo, "sell", filled("poison"), sessionid=session)
        self.assertEqual(condition(answer), "not-allowed session-expired")

    def test_another_session(self) -> None:
        """A session belongs to the resource that began it, and to its command."""
        session = self.begin()
        house = self.house
        answers = [
            execute(self.balthasar, "sell", filled("poison"), sessionid=session),
            execute(house.bind("romeo", "2"), "sell", filled("poison"), sessionid=session),
            execute(self.romeo, "show", sessionid=session),
            execute(self.romeo, "sell", filled("poison"), sessionid=session[:-1] + "-"),
            execute(self.romeo, "sell", filled("poison"), sessionid=""),
            execute(self.romeo, "sell", filled("poison"), sessionid="ü-ü"),
            execute(self.balthasar, "sell", sessionid=session, action="cancel"),
        ]
        for answer in answers:
            self.assertEqual(condition(answer), "bad-request bad-sessionid")
        self.assertEqual(self.shop.sold, [])
        execute(self.romeo, "sell", filled("poison"), sessionid=session)
        self.assertEqual(self.shop.sold, ["poison"])

    def test_ten_minutes(self) -> None:
        """After ten minutes a form is not waited for any more."""
        session = self.begin()
        self.house.clock.advance(SESSION_S)
        answer = execute(self.romeo, "sell", filled("poison"), sessionid=session)
        self.assertEqual(condition(answer), "not-allowed session-expired")

    def test_bad_payload(self) -> None:
        """A form that is missing or wrong is refused, and may be sent again."""
        session = self.begin()
        payloads = (
            "",
            filled(""),
            filled("poison", "form"),
            filled("poison").replace("jabber:x:data", "jabber:x:date"),
            filled("poison").replace("'drug'", "'drugs'"),
            "<x xmlns='jabber:x:data' type='submit'><field><value>x</value></field></x>",
            filled("x" * 20_000),
        )
        for payload in payloads:
            with self.subTest(payload=payload[:80]):
                answer = execute(self.romeo, "sell", payload, sessionid=session)
                self.assertEqual(condition(answer), "bad-request bad-payload")
        execute(self.romeo, "sell", filled("poison"), sessionid=session)
        self.assertEqual(self.shop.sold, ["poison"])

    def test_bad_actions(self) -> None:
        """Actions that there are not, or not here."""
        session = self.begin()
        cases = [
            ({"action": "dance"}, "malformed-action"),
            ({"action": "dance", "sessionid": session}, "malformed-action"),
            ({"action": "prev", "sessionid": session}, "bad-action"),
            ({"action": "next", "sessionid": session}, "bad-action"),
            ({"action": "complete"}, "bad-action"),
            ({"action": "cancel"}, "bad-action"),
        ]
        for attributes, expected in cases:
            with self.subTest(attributes=attributes):
                answer = execute(self.romeo, "sell", filled("poison"), **attributes)
                self.assertEqual(condition(answer), f"bad-request {expected}")
        self.assertEqual(self.shop.sold, [])

    def test_unknown(self) -> None:
        """A command that is not there, is not named, or is asked of somebody else."""
        self.assertEqual(condition(execute(self.romeo, "dance")), "item-not-found")
        nameless = ask(self.romeo, "set", f"<command xmlns='{NS}'/>")
        self.assertEqual(condition(nameless), "bad-request")
        for to in ("romeo@mantua.lit", "balthasar@mantua.lit", "nobody@mantua.lit"):
            answer = ask(self.romeo, "set", command("sell"), to)
            self.assertEqual(condition(answer), "service-unavailable")
        got = ask(self.romeo, "get", command("show"), "mantua.lit")
        self.assertEqual(condition(got), "feature-not-implemented")


class AdminTests(SynchronousTestCase):
    def test_admins_only(self) -> None:
        """What is for administrators is for nobody else, whatever session they name."""
        config = replace(house_config("mantua.lit"), admins=("friar@mantua.lit",))
        house = House("mantua.lit", config=config, plugins=("adhoc_commands",), romeo={}, friar={})
        shop = Apothecary()
        for part in shop.commands():
            house.server.ad_hoc_commands.put(part, "shop")
        romeo, friar = house.connect("romeo", "friar")
        self.assertEqual(condition(execute(romeo, ADMINS_ONLY)), "forbidden")
        session = execute(friar, ADMINS_ONLY)[0].get("sessionid", "")
        answer = execute(romeo, ADMINS_ONLY, filled("poison"), sessionid=session)
        self.assertEqual(condition(answer), "forbidden")
        self.assertEqual(shop.sold, [])
        execute(friar, ADMINS_ONLY, filled("poison"), sessionid=session)
        self.assertEqual(shop.sold, ["poison"])


class DiscoTests(SynchronousTestCase):
    def setUp(self) -> None:
        config = replace(house_config("mantua.lit"), admins=("friar@mantua.lit",))
        plugins = ("disco", "adhoc_commands")
        house = House("mantua.lit", config=config, plugins=plugins, romeo={}, friar={})
        for part in Apothecary().commands():
            house.server.ad_hoc_commands.put(part, "shop")
        self.romeo, self.friar = house.connect("romeo", "friar")

    def disco(self, client: Client, what: str, node: str = "") -> Tree:
        """Ask the server about a node."""
        named = f" node='{node}'" if node else ""
        query = f"<query xmlns='http://jabber.org/protocol/disco#{what}'{named}/>"
        return ask(client, "get", query, "mantua.lit")

    def test_list(self) -> None:
        """Everybody sees the commands that they may run."""
        for client, nodes in (
            (self.romeo, ["sell", "show"]),
            (self.friar, ["sell", "show", ADMINS_ONLY]),
        ):
            items = self.disco(client, "items", NS)[0]
            self.assertEqual([item.get("node") for item in items], nodes)
            self.assertEqual({item.get("jid") for item in items}, {"mantua.lit"})
        (identity,) = self.disco(self.romeo, "info", NS)[0].findall("{*}identity")
        self.assertEqual(identity.get("type"), "command-list")

    def test_one(self) -> None:
        """What a command is; for who may not run it, there is none."""
        identity, *features = self.disco(self.romeo, "info", "sell")[0]
        self.assertEqual(identity.get("type"), "command-node")
        self.assertEqual(identity.get("name"), "Sell")
        self.assertEqual([f.get("var") for f in features], [NS, "jabber:x:data"])
        self.assertEqual(len(self.disco(self.romeo, "items", "sell")[0]), 0)
        hidden = self.disco(self.romeo, "info", ADMINS_ONLY)
        self.assertEqual(condition(hidden), "item-not-found")
        self.assertEqual(condition(self.disco(self.friar, "info", ADMINS_ONLY)), "result")
        self.assertEqual(condition(self.disco(self.friar, "info", "dance")), "item-not-found")

    def test_feature(self) -> None:
        """The server says that it has commands."""
        features = self.disco(self.romeo, "info")[0]
        self.assertIn(NS, [feature.get("var") for feature in features])


class BoundTests(SynchronousTestCase):
    def test_per_requester(self) -> None:
        """Who begins too many sessions loses the oldest; nobody else does."""
        sessions = Sessions(lambda: 0.0)
        romeo, paris = JID.parse("romeo@mantua.lit/1"), JID.parse("paris@mantua.lit/1")
        asked = form("urn:shop", "Shop", "")
        own = sessions.new_id(paris, "sell")
        sessions.begin(own, paris, asked)
        ids = [sessions.new_id(romeo, "sell") for _ in range(MAX_SESSIONS_PER_REQUESTER + 1)]
        for session_id in ids:
            sessions.begin(session_id, romeo, asked)
        self.assertEqual(len(sessions), MAX_SESSIONS_PER_REQUESTER + 1)
        self.assertRaises(StanzaError, sessions.find, ids[0], romeo, "sell")
        sessions.find(ids[1], romeo, "sell")
        sessions.find(own, paris, "sell")

    def test_in_all(self) -> None:
        """There are never more sessions than the server has room for; the oldest goes."""
        sessions = Sessions(lambda: 0.0)
        asked = form("urn:shop", "Shop", "")
        for number in range(MAX_SESSIONS + 1):
            requester = JID.parse(f"{number}@mantua.lit/1")
            sessions.begin(sessions.new_id(requester, "sell"), requester, asked)
        self.assertEqual(len(sessions), MAX_SESSIONS)
