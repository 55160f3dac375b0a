"""XEP-0050: Ad-Hoc Commands."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.stanza import JID, Condition, StanzaError, Tree
from xmppd.stanza.form import form
from xmppd.stanza.xml import local_name
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config
from xmppd_plugins.adhoc_commands import (
    EXECUTION_S,
    MAX_EXECUTIONS,
    MAX_EXECUTIONS_PER_REQUESTER,
    MAX_ROWS,
    ROWS_PER_SCREEN,
    Executions,
)

NS = "http://jabber.org/protocol/commands"
ADMINS_ONLY = "xmppd#poison-sell"


class Stock(Row, frozen=True):
    """What stands on a shelf."""

    box: int
    drugs: list[str]
    sealed: bool = False


class Apothecary:
    """Commands to try, and what came of them."""

    def __init__(self) -> None:
        self.sold: list[str] = []
        self.boxes = 1

    async def sell(self, context: CommandContext) -> Replies:
        """Hand it over."""
        drug = context.arguments.text("drug")
        if drug == "gold":
            raise Refused("worse poison", Condition.CONFLICT)
        self.sold.append(drug)
        yield "Drink it off"

    async def show(self, context: CommandContext) -> Replies:
        """What is on the shelves."""
        for box in range(self.boxes):
            yield Stock(box, ["nothing", "dust"])

    async def explain(self, context: CommandContext) -> Replies:
        """Why the shelves are empty."""
        yield Saying("he is poor.")
        yield Saying("so they are empty.")

    def commands(self) -> list[Command]:
        """Some for everybody, with a form and without one, and one for administrators."""
        drug = (Argument("drug", "what do you want?"),)
        return [
            Command(Description("sell", "sell", drug, "changes", "everybody"), self.sell),
            Command(Description("show", "show", who="everybody"), self.show, (Stock,)),
            Command(
                Description("why", "why", who="everybody", answers="sentences"),
                self.explain,
                (Saying,),
            ),
            Command(Description("poison sell", "sell poison", drug, "changes"), self.sell),
            Command(
                Description("watch", "watch", who="everybody", answers="stream"),
                self.show,
                (Stock,),
            ),
        ]

    def open(self, house: House) -> None:
        """Have the commands in a house."""
        for part in self.commands():
            house.server.commands.put(part, "shop")


class Saying(Row, frozen=True):
    """A sentence."""

    says: str


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
        self.shop.open(self.house)
        self.romeo, self.balthasar = self.house.connect("romeo", "balthasar")

    def begin(self, client: Client | None = None) -> str:
        """The id of a session that waits for its form."""
        answer = execute(client or self.romeo, "xmppd#sell")
        return answer[0].get("sessionid", "")

    def test_form(self) -> None:
        """Who executes a command with a form gets the form, and may complete it."""
        answer = execute(self.romeo, "xmppd#sell")[0]
        self.assertEqual((answer.get("status"), answer.get("node")), ("executing", "xmppd#sell"))
        actions = answer.find(f"{{{NS}}}actions")
        assert actions is not None
        self.assertEqual([actions.get("execute"), len(actions)], ["complete", 1])
        self.assertIsNotNone(answer.find("{jabber:x:data}x"))

    def test_complete(self) -> None:
        """A filled in form runs the command, with or without an action, and the note says so."""
        for action in ({"action": "complete"}, {"action": "execute"}, {}):
            session = self.begin()
            answer = execute(
                self.romeo, "xmppd#sell", filled("poison"), sessionid=session, **action
            )[0]
            self.assertEqual(answer.get("status"), "completed")
            self.assertEqual(answer.get("sessionid"), session)
            self.assertEqual(answer.findtext(f"{{{NS}}}note"), "Drink it off.")
        self.assertEqual(self.shop.sold, ["poison"] * 3)

    def test_cancelled_form_is_a_filled_in_one(self) -> None:
        """A form of type cancel counts as submitted; the action says whether to cancel."""
        execute(self.romeo, "xmppd#sell", filled("poison", "cancel"), sessionid=self.begin())
        self.assertEqual(self.shop.sold, ["poison"])

    def test_without_form(self) -> None:
        """A command that needs no form is done at once."""
        answer = execute(self.romeo, "xmppd#show")[0]
        self.assertEqual(answer.get("status"), "completed")
        self.assertTrue(answer.get("sessionid"))
        self.assertIn("nothing", "".join(answer.itertext()))

    def test_cancel(self) -> None:
        """Who cancels is told so, and nothing was done."""
        session = self.begin()
        answer = execute(self.romeo, "xmppd#sell", sessionid=session, action="cancel")[0]
        self.assertEqual((answer.get("status"), len(answer)), ("canceled", 0))
        again = execute(self.romeo, "xmppd#sell", filled("poison"), sessionid=session)
        self.assertEqual(condition(again), "not-allowed session-expired")
        self.assertEqual(self.shop.sold, [])

    def test_replay(self) -> None:
        """What was completed is not done a second time."""
        session = self.begin()
        for _ in range(2):
            answer = execute(self.romeo, "xmppd#sell", filled("poison"), sessionid=session)
        self.assertEqual(condition(answer), "not-allowed session-expired")
        self.assertEqual(self.shop.sold, ["poison"])

    def test_failure(self) -> None:
        """What goes wrong in a command is told, and ends its session."""
        session = self.begin()
        answer = execute(self.romeo, "xmppd#sell", filled("gold"), sessionid=session)
        self.assertEqual(condition(answer), "conflict")
        answer = execute(self.romeo, "xmppd#sell", filled("poison"), sessionid=session)
        self.assertEqual(condition(answer), "not-allowed session-expired")

    def test_another_session(self) -> None:
        """A session belongs to the resource that began it, and to its command."""
        session = self.begin()
        house = self.house
        answers = [
            execute(self.balthasar, "xmppd#sell", filled("poison"), sessionid=session),
            execute(house.bind("romeo", "2"), "xmppd#sell", filled("poison"), sessionid=session),
            execute(self.romeo, "xmppd#show", sessionid=session),
            execute(self.romeo, "xmppd#sell", filled("poison"), sessionid=session[:-1] + "-"),
            execute(self.romeo, "xmppd#sell", filled("poison"), sessionid=""),
            execute(self.romeo, "xmppd#sell", filled("poison"), sessionid="ü-ü"),
            execute(self.balthasar, "xmppd#sell", sessionid=session, action="cancel"),
        ]
        for answer in answers:
            self.assertEqual(condition(answer), "bad-request bad-sessionid")
        self.assertEqual(self.shop.sold, [])
        execute(self.romeo, "xmppd#sell", filled("poison"), sessionid=session)
        self.assertEqual(self.shop.sold, ["poison"])

    def test_ten_minutes(self) -> None:
        """After ten minutes a form is not waited for any more."""
        session = self.begin()
        self.house.clock.advance(EXECUTION_S)
        answer = execute(self.romeo, "xmppd#sell", filled("poison"), sessionid=session)
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
                answer = execute(self.romeo, "xmppd#sell", payload, sessionid=session)
                self.assertEqual(condition(answer), "bad-request bad-payload")
        execute(self.romeo, "xmppd#sell", filled("poison"), sessionid=session)
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
                answer = execute(self.romeo, "xmppd#sell", filled("poison"), **attributes)
                self.assertEqual(condition(answer), f"bad-request {expected}")
        self.assertEqual(self.shop.sold, [])

    def test_unknown(self) -> None:
        """A command that is not there, is not named, or is asked of somebody else."""
        self.assertEqual(condition(execute(self.romeo, "xmppd#dance")), "item-not-found")
        nameless = ask(self.romeo, "set", f"<command xmlns='{NS}'/>")
        self.assertEqual(condition(nameless), "bad-request")
        for to in ("balthasar@mantua.lit", "nobody@mantua.lit"):
            answer = ask(self.romeo, "set", command("xmppd#sell"), to)
            self.assertEqual(condition(answer), "service-unavailable")
        got = ask(self.romeo, "get", command("xmppd#show"), "mantua.lit")
        self.assertEqual(condition(got), "feature-not-implemented")


class EndTests(SynchronousTestCase):
    def test_asked_again(self) -> None:
        """What ends something is not done at one click: it is asked for once more."""
        house = House("mantua.lit", plugins=("adhoc_commands",), romeo={})
        shop = Apothecary()
        about = Description("close", "close the shop", (DRY_RUN,), "ends", "everybody")
        house.server.commands.put(Command(about, shop.explain, (Saying,)), "shop")
        (romeo,) = house.connect("romeo")
        answer = execute(romeo, "xmppd#close")[0]
        self.assertEqual(answer.get("status"), "executing")
        self.assertIn("cannot be undone", "".join(answer.itertext()))
        session = answer.get("sessionid", "")
        empty = "<x xmlns='jabber:x:data' type='submit'/>"
        answer = execute(romeo, "xmppd#close", empty, sessionid=session)[0]
        self.assertIn("he is poor.", "".join(answer.itertext()))


class ScreenTests(SynchronousTestCase):
    """Answers that are more than one screen."""

    def setUp(self) -> None:
        self.house = House("mantua.lit", plugins=("adhoc_commands",), romeo={})
        self.shop = Apothecary()
        self.shop.open(self.house)
        (self.romeo,) = self.house.connect("romeo")

    def actions(self, answer: Tree) -> tuple[list[str], str | None]:
        """What may be done next, and what is done if nothing is said."""
        listed = answer.find(f"{{{NS}}}actions")
        assert listed is not None
        return [local_name(action.tag) for action in listed], listed.get("execute")

    def boxes(self, answer: Tree) -> list[str]:
        """The boxes of a screen."""
        path = "{jabber:x:data}x/{jabber:x:data}item/{jabber:x:data}field[@var='box']/*"
        return [value.text or "" for value in answer.findall(path)]

    def turn(self, session: str, action: str) -> Tree:
        """Look at another screen."""
        return execute(self.romeo, "xmppd#show", sessionid=session, action=action)

    def test_one_screen(self) -> None:
        """Rows that fit on one screen are a table, with each column named and typed."""
        answer = execute(self.romeo, "xmppd#show")[0]
        self.assertEqual(answer.get("status"), "completed")
        reported = answer.find("{jabber:x:data}x/{jabber:x:data}reported")
        assert reported is not None
        self.assertEqual(
            [(field.get("var"), field.get("type")) for field in reported],
            [("box", "text-single"), ("drugs", "text-multi"), ("sealed", "boolean")],
        )
        values = [value.text for value in answer.iter("{jabber:x:data}value")]
        self.assertEqual(values, ["xmppd#show", "0", "nothing", "dust", "false"])

    def test_no_rows(self) -> None:
        """A table of nothing has its columns all the same."""
        self.shop.boxes = 0
        answer = execute(self.romeo, "xmppd#show")[0]
        self.assertEqual(len(list(answer.iter("{jabber:x:data}item"))), 0)
        self.assertIn("drugs", [f.get("var") for f in answer.iter("{jabber:x:data}field")])

    def test_screens(self) -> None:
        """One goes through them there and back, and leaves from any of them."""
        self.shop.boxes = 2 * ROWS_PER_SCREEN + 1
        answer = execute(self.romeo, "xmppd#show")[0]
        self.assertEqual((answer.get("status"), len(self.boxes(answer))), ("executing", 50))
        self.assertEqual(self.actions(answer), (["next", "complete"], "next"))
        session = answer.get("sessionid", "")
        answer = self.turn(session, "next")[0]
        self.assertEqual(self.boxes(answer)[0], "50")
        self.assertEqual(self.actions(answer), (["prev", "next", "complete"], "next"))
        answer = self.turn(session, "execute")[0]
        self.assertEqual(self.boxes(answer), ["100"])
        self.assertEqual(self.actions(answer), (["prev", "complete"], "complete"))
        self.assertEqual(condition(self.turn(session, "next")), "bad-request bad-action")
        answer = self.turn(session, "prev")[0]
        self.assertEqual(self.boxes(answer)[0], "50")
        answer = self.turn(session, "complete")[0]
        self.assertEqual((answer.get("status"), len(answer)), ("completed", 0))
        self.assertEqual(condition(self.turn(session, "prev")), "not-allowed session-expired")

    def test_bound(self) -> None:
        """So many rows are shown and kept, and that there are more is said."""
        self.shop.boxes = MAX_ROWS + 1
        answer = execute(self.romeo, "xmppd#show")[0]
        self.assertIn("the first 1000", answer.findtext(f"{{{NS}}}note") or "")

    def test_sentences(self) -> None:
        """What is said in sentences is shown as text."""
        answer = execute(self.romeo, "xmppd#why")[0]
        field = answer.find("{jabber:x:data}x/{jabber:x:data}field[@var='says']")
        assert field is not None
        self.assertEqual([v.text for v in field], ["he is poor.", "so they are empty."])


class AdminTests(SynchronousTestCase):
    def test_admins_only(self) -> None:
        """What is for administrators is for nobody else, whatever session they name."""
        config = replace(house_config("mantua.lit"), admins=("friar@mantua.lit",))
        house = House("mantua.lit", config=config, plugins=("adhoc_commands",), romeo={}, friar={})
        shop = Apothecary()
        shop.open(house)
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
        Apothecary().open(house)
        self.romeo, self.friar = house.connect("romeo", "friar")

    def disco(self, client: Client, what: str, node: str = "") -> Tree:
        """Ask the server about a node."""
        named = f" node='{node}'" if node else ""
        query = f"<query xmlns='http://jabber.org/protocol/disco#{what}'{named}/>"
        return ask(client, "get", query, "mantua.lit")

    def test_own_account(self) -> None:
        """The same commands are at one's own account, and at nobody else's."""
        listing = f"<query xmlns='http://jabber.org/protocol/disco#items' node='{NS}'/>"
        items = ask(self.romeo, "get", listing, "romeo@mantua.lit")[0]
        self.assertIn("xmppd#sell", [item.get("node") for item in items])
        self.assertEqual({item.get("jid") for item in items}, {"romeo@mantua.lit"})
        asked = ask(self.romeo, "set", command("xmppd#show"), "romeo@mantua.lit")
        self.assertEqual(asked[0].get("status"), "completed")
        refused = ask(self.romeo, "set", command(ADMINS_ONLY), "romeo@mantua.lit")
        self.assertEqual(condition(refused), "forbidden")
        self.assertEqual(len(ask(self.romeo, "get", listing, "friar@mantua.lit")[0]), 0)

    def test_list(self) -> None:
        """Everybody sees the commands that they may run; none that has no end."""
        shop = ["xmppd#sell", "xmppd#show", "xmppd#why"]
        for client, nodes in (
            (self.romeo, ["xmppd#device-list", "xmppd#device-revoke", *shop]),
            (self.friar, [*shop, ADMINS_ONLY]),
        ):
            items = self.disco(client, "items", NS)[0]
            listed = [item.get("node") for item in items]
            self.assertEqual([node for node in listed if node in nodes], nodes)
            self.assertEqual(client is self.romeo, set(listed) == set(nodes))
            self.assertNotIn("xmppd#watch", listed)
            self.assertEqual({item.get("jid") for item in items}, {"mantua.lit"})
        (identity,) = self.disco(self.romeo, "info", NS)[0].findall("{*}identity")
        self.assertEqual(identity.get("type"), "command-list")

    def test_one(self) -> None:
        """What a command is; for who may not run it, there is none."""
        identity, *features = self.disco(self.romeo, "info", "xmppd#sell")[0]
        self.assertEqual(identity.get("type"), "command-node")
        self.assertEqual(identity.get("name"), "Sell")
        self.assertEqual([f.get("var") for f in features], [NS, "jabber:x:data"])
        self.assertEqual(len(self.disco(self.romeo, "items", "xmppd#sell")[0]), 0)
        hidden = self.disco(self.romeo, "info", ADMINS_ONLY)
        self.assertEqual(condition(hidden), "item-not-found")
        self.assertEqual(condition(self.disco(self.friar, "info", ADMINS_ONLY)), "result")
        self.assertEqual(condition(self.disco(self.friar, "info", "xmppd#dance")), "item-not-found")

    def test_feature(self) -> None:
        """The server says that it has commands."""
        features = self.disco(self.romeo, "info")[0]
        self.assertIn(NS, [feature.get("var") for feature in features])


class BoundTests(SynchronousTestCase):
    def test_per_requester(self) -> None:
        """Who begins too many sessions loses the oldest; nobody else does."""
        sessions = Executions(lambda: 0.0)
        romeo, paris = JID.parse("romeo@mantua.lit/1"), JID.parse("paris@mantua.lit/1")
        asked = form("urn:shop", "Shop", "")
        own = sessions.new_id(paris, "xmppd#sell")
        sessions.wait(own, paris, asked)
        ids = [
            sessions.new_id(romeo, "xmppd#sell") for _ in range(MAX_EXECUTIONS_PER_REQUESTER + 1)
        ]
        for session_id in ids:
            sessions.wait(session_id, romeo, asked)
        self.assertEqual(len(sessions), MAX_EXECUTIONS_PER_REQUESTER + 1)
        self.assertRaises(StanzaError, sessions.find, ids[0], romeo, "xmppd#sell")
        sessions.find(ids[1], romeo, "xmppd#sell")
        sessions.find(own, paris, "xmppd#sell")

    def test_in_all(self) -> None:
        """There are never more sessions than the server has room for; the oldest goes."""
        sessions = Executions(lambda: 0.0)
        asked = form("urn:shop", "Shop", "")
        for number in range(MAX_EXECUTIONS + 1):
            requester = JID.parse(f"{number}@mantua.lit/1")
            sessions.wait(sessions.new_id(requester, "xmppd#sell"), requester, asked)
        self.assertEqual(len(sessions), MAX_EXECUTIONS)
