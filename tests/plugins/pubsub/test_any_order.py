"""A node in any order of what may happen to it is as a model of it says, and tells nobody what is
not for them.
"""

from typing import ClassVar
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st
from typing_extensions import override

from tests.plugins.pubsub.node_model import NodeModel, Posted, examples
from tests.plugins.pubsub.verona import NS, OWNER, WORDS, PubSubTestCase, config, form
from xmppd.stanza import Tree
from xmppd.testing.client import Client

PEOPLE = ("juliet", "tybalt")
IDS = st.sampled_from("abcde")
WHO = st.sampled_from(("romeo", *PEOPLE))
OTHERS = st.sampled_from(PEOPLE)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), WHO, st.lists(IDS, min_size=1, max_size=3, unique=True)),
        st.tuples(st.just("publish"), WHO, st.lists(IDS, min_size=1, max_size=3, unique=True)),
        st.tuples(st.just("retract"), WHO, IDS),
        st.tuples(st.just("purge")),
        st.tuples(st.just("max_items"), st.integers(1, 4)),
        st.tuples(
            st.just("publish_node_full"),
            st.sampled_from(("discard-oldest", "retract-oldest", "reject")),
        ),
        st.tuples(st.just("access_model"), st.sampled_from(("open", "authorize", "whitelist"))),
        st.tuples(st.just("publish_model"), st.sampled_from(("publishers", "subscribers", "open"))),
        st.tuples(
            st.just("affiliate"),
            OTHERS,
            st.sampled_from(("none", "member", "publisher", "publish-only", "outcast")),
        ),
        st.tuples(st.just("subscribe"), OTHERS),
        st.tuples(st.just("unsubscribe"), OTHERS),
        st.tuples(st.just("approve"), OTHERS, st.booleans()),
        st.tuples(st.just("restart")),
    ),
    min_size=25,
    max_size=60,
)
NODE = "club"
FIELDS = {"publish_node_full": "full", "access_model": "access", "publish_model": "publish"}


class AnyOrderTests(PubSubTestCase):
    """Romeo owns a node; Juliet and Tybalt want to know."""

    settings: ClassVar[dict[str, object]] = {"create": "local"}

    def begin(self) -> None:
        """There is a node, with nothing in it."""
        self.setUp()
        self.assertEqual(self.create(self.romeo, NODE, max_items="3"), "result")
        self.model = NodeModel(3, known={who: set() for who in PEOPLE})
        self.authors: dict[str, str] = {}
        self.number = 0

    def client(self, who: str) -> Client:
        """Somebody's."""
        found: Client = getattr(self, who)
        return found

    # -- steps ------------------------------------------------------------------------------------

    def publish_some(self, who: str, ids: list[str]) -> None:
        """Somebody publishes."""
        model = self.model
        posted = []
        for id in ids:
            self.number += 1
            posted.append(Posted(id, f"words {self.number} of {who}"))
        before = {each.id for each in model.items}
        theirs = all(self.authors[id] == who for id in ids if id in before)
        may = who == "romeo" or (model.publishes(who) and theirs)
        expected = may and len(posted) <= model.most and model.post(*posted)
        if expected:
            self.authors.update((id, who) for id in ids)
        done = self.publish(self.client(who), NODE, *posted)
        self.assertEqual(done == "result", expected, f"{who} publishes {ids}: {done}")

    def retract_one(self, who: str, id: str) -> None:
        """Somebody retracts an item."""
        model = self.model
        is_there = id in {each.id for each in model.items}
        is_outcast = model.affiliations.get(who) == "outcast"
        may = is_there and not is_outcast and (who == "romeo" or self.authors[id] == who)
        if may:
            model.items = [each for each in model.items if each.id != id]
        inside = f"<retract node='{NODE}'><item id='{id}'/></retract>"
        done = self.asked(self.client(who), "set", inside)
        self.assertEqual(done == "result", may, f"{who} retracts {id}: {done}")

    def configured(self, name: str, value: str) -> None:
        """The owner configures the node."""
        model = self.model
        if name == "max_items":
            model.most = int(value)
            model.items = model.items[-model.most :]
        else:
            is_other = getattr(model, FIELDS[name]) != value
            setattr(model, FIELDS[name], value)
            if name == "access_model" and is_other:
                model.shut_out(*PEOPLE)
        inside = f"<configure node='{NODE}'>{config(**{name: value})}</configure>"
        self.assertEqual(self.asked(self.romeo, "set", inside, OWNER), "result")

    def affiliate(self, who: str, affiliation: str) -> None:
        """The owner says what somebody is to the node."""
        self.model.affiliations[who] = affiliation
        self.model.shut_out(who)
        jid = f"{who}@montague.lit"
        each = f"<affiliation jid='{jid}' affiliation='{affiliation}'/>"
        inside = f"<affiliations node='{NODE}'>{each}</affiliations>"
        self.assertEqual(self.asked(self.romeo, "set", inside, OWNER), "result")

    def ask_in(self, who: str) -> None:
        """Somebody subscribes, at once or when the owner has said so."""
        self.model.ask_in(who)
        self.subscribe(self.client(who), NODE, who)

    def ask_out(self, who: str) -> None:
        """Somebody does not want to know any more."""
        self.model.ask_out(who)
        inside = f"<unsubscribe node='{NODE}' jid='{who}@montague.lit'/>"
        self.asked(self.client(who), "set", inside)

    def approve(self, who: str, allowed: bool) -> None:
        """The owner answers who wants to subscribe."""
        self.model.approve(who, allowed)
        filled = form(
            f"{NS}#subscribe_authorization",
            node=NODE,
            subscriber_jid=f"{who}@montague.lit",
            allow="1" if allowed else "0",
        )
        self.romeo.send(f"<message to='pubsub.montague.lit' id='a'>{filled}</message>")

    def step(self, what: str, *how: object) -> None:
        """Something happens."""
        if what == "publish":
            who, ids = how
            assert isinstance(who, str) and isinstance(ids, list)
            self.publish_some(who, ids)
        elif what == "approve":
            self.approve(str(how[0]), bool(how[1]))
        elif what == "purge":
            self.model.items.clear()
            done = self.asked(self.romeo, "set", f"<purge node='{NODE}'/>", OWNER)
            self.assertEqual(done, "result")
        elif what == "restart":
            self.house = self.house.restarted()
            self.connect()
        elif what == "retract":
            self.retract_one(str(how[0]), str(how[1]))
        elif what == "affiliate":
            self.affiliate(str(how[0]), str(how[1]))
        elif what == "subscribe":
            self.ask_in(str(how[0]))
        elif what == "unsubscribe":
            self.ask_out(str(how[0]))
        else:
            self.configured(what, str(how[0]))

    # -- what has to hold -------------------------------------------------------------------------

    @override
    def ask(self, client: Client, kind: str, inside: str, namespace: str = NS) -> Tree:
        answer = super().ask(client, kind, inside, namespace)
        for tree in (answer, *self.later):
            self.check(client, tree)
        return answer

    def check(self, client: Client, came: Tree) -> None:
        """Nobody hears what was never for them."""
        words = {each.text or "" for each in came.iter(WORDS)}
        for who in PEOPLE:
            if client is self.client(who):
                self.assertLessEqual(words, self.model.known[who], f"{who} hears it")

    def look(self) -> None:
        """The node is as the model says, for everybody."""
        model = self.model
        for who in PEOPLE:
            for raw in self.client(who).received():
                self.check(self.client(who), ElementTree.fromstring(raw))
        self.assertEqual(self.items(self.romeo, NODE), model.items)
        for who in PEOPLE:
            done = self.asked(self.client(who), "get", f"<items node='{NODE}'/>")
            self.assertEqual(done == "result", model.reads(who), f"{who} reads: {done}")
        answer = self.ask(self.romeo, "get", f"<subscriptions node='{NODE}'/>", OWNER)
        states = {
            (each.get("jid", "").partition("@")[0], each.get("subscription", ""))
            for each in answer.iter(f"{{{OWNER}}}subscription")
        }
        expected = {(who, "subscribed") for who in model.subscribed}
        self.assertEqual(states, expected | {(who, "pending") for who in model.pending})

    @tries(max_examples=examples(12))
    @given(STEPS)
    def test_any_order(self, steps: list[tuple[object, ...]]) -> None:
        """Items and their order, subscriptions, access and what is told are as the model says,
        after each step.
        """
        self.begin()
        for what, *how in steps:
            self.step(str(what), *how)
            self.look()
