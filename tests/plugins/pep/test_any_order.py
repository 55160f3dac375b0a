"""What an account publishes, in any order of what may happen: it is kept and told as a model says,
and nobody is told what is not for them.
"""

from random import Random
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.pep.verona import NEWS, Publisher, publishing
from tests.plugins.pubsub.verona import EVENT, NS, OWNER, WORDS, config, result_of
from tests.seeds import some_seed
from xmppd.stanza import ns
from xmppd.testing.house import House

SCHEDULES = 8
STEPS = 60
PEOPLE = ("juliet", "nurse", "tybalt")
FRIENDS = "Friends"


class Watcher(Publisher):
    """Somebody who comes and goes."""

    def words(self) -> list[str]:
        """The words of items in events since somebody looked."""
        self.read()
        found = [
            each.text or ""
            for tree in self.came
            for event in tree.iter(f"{{{EVENT}}}event")
            for each in event.iter(WORDS)
        ]
        self.came.clear()
        return found


class World:
    """Romeo's node and who is who to him, as a few lines say it.

    Attributes:
        items: Ids and words, in their order.
        contacts: Who sees his presence.
        friends: Those of his group.
        here: Who is available.
    """

    def __init__(self) -> None:
        self.items: list[tuple[str, str]] = []
        self.most = 1
        self.access = "presence"
        self.sends_last = True
        self.contacts = {"juliet", "nurse"}
        self.friends: set[str] = set()
        self.affiliations: dict[str, str] = {}
        self.here = set(PEOPLE)

    def reads(self, who: str) -> bool:
        """Whether somebody may read the node."""
        affiliation = self.affiliations.get(who, "none")
        if affiliation != "none":
            return affiliation in ("member", "publisher")
        return {
            "open": True,
            "presence": who in self.contacts,
            "roster": who in self.friends,
            "whitelist": False,
        }[self.access]

    def hears(self, who: str) -> bool:
        """Whether somebody is told what is published."""
        return who in self.here and who in self.contacts and self.reads(who)


class AnyOrderTests(SynchronousTestCase):
    def begin(self) -> None:
        """Romeo has published once; two contacts are here, and a stranger."""
        self.house = House(
            plugins=("disco", "caps", "pubsub", "pep"),
            romeo={"juliet": "both", "nurse": "both"},
            juliet={"romeo": "both"},
            nurse={"romeo": "both"},
            tybalt={},
        )
        self.world = World()
        self.number = 0
        self.everybody()
        self.publish()
        self.configured("roster_groups_allowed", FRIENDS)

    def everybody(self) -> None:
        """All who are to be here come, Romeo last."""
        self.people: dict[str, Watcher] = {}
        for who in sorted(self.world.here):
            self.come(who)
        self.romeo = self.person("romeo")

    def person(self, name: str) -> Watcher:
        """Somebody who has just come."""
        person = Watcher(self.house.bind(name), f"{name}@montague.lit")
        person.arrive()
        return person

    def come(self, who: str) -> None:
        """Somebody comes, and is sent the newest item if it is for them."""
        self.people[who] = self.person(who)
        world = self.world
        expected = [world.items[-1][1]] if world.items and world.sends_last else []
        if not (who in world.contacts and world.reads(who)):
            expected = []
        self.assertEqual(self.people[who].words(), expected, f"{who} comes")

    def owner(self, inside: str, namespace: str = NS) -> None:
        """Romeo asks for something that he may."""
        answer = self.romeo.ask("set", f"<pubsub xmlns='{namespace}'>{inside}</pubsub>")
        self.assertEqual(result_of(answer), "result", inside)

    # -- steps ------------------------------------------------------------------------------------

    def publish(self, id: str = "a") -> None:
        """Romeo publishes."""
        self.number += 1
        words = f"words {self.number}"
        world = self.world
        left = [each for each in world.items if each[0] != id]
        world.items = [*left, (id, words)][-world.most :]
        self.assertEqual(result_of(self.romeo.ask("set", publishing(NEWS, id, words))), "result")
        for who, person in self.people.items():
            expected = [words] if world.hears(who) else []
            self.assertEqual(person.words(), expected, f"{who} is told")
        self.assertEqual(self.romeo.words(), [words])

    def retract(self, id: str) -> None:
        """Romeo retracts an item, if there is one."""
        left = [each for each in self.world.items if each[0] != id]
        if left != self.world.items:
            self.world.items = left
            self.owner(f"<retract node='{NEWS}'><item id='{id}'/></retract>")

    def configured(self, name: str, value: str) -> None:
        """Romeo configures the node."""
        self.owner(f"<configure node='{NEWS}'>{config(**{name: value})}</configure>", OWNER)

    def change(self, chance: Random) -> None:
        """Another configuration."""
        world = self.world
        match chance.choice(("access", "access", "most", "last")):
            case "access":
                world.access = chance.choice(("open", "presence", "roster", "whitelist"))
                self.configured("access_model", world.access)
            case "most":
                world.most = chance.randint(1, 3)
                world.items = world.items[-world.most :]
                self.configured("max_items", str(world.most))
            case _:
                world.sends_last = chance.random() < 0.5
                value = "on_sub_and_presence" if world.sends_last else "never"
                self.configured("send_last_published_item", value)

    def affiliate(self, who: str, affiliation: str) -> None:
        """Romeo says what somebody is to the node."""
        self.world.affiliations[who] = affiliation
        jid = f"{who}@montague.lit"
        each = f"<affiliation jid='{jid}' affiliation='{affiliation}'/>"
        self.owner(f"<affiliations node='{NEWS}'>{each}</affiliations>", OWNER)

    def befriend(self, who: str, *, friend: bool) -> None:
        """Romeo puts a contact into his group, or takes it out."""
        (self.world.friends.add if friend else self.world.friends.discard)(who)
        group = f"<group>{FRIENDS}</group>" if friend else ""
        item = f"<item jid='{who}@montague.lit'>{group}</item>"
        self.romeo.ask("set", f"<query xmlns='{ns.ROSTER}'>{item}</query>")

    def part(self, who: str) -> None:
        """Romeo lets a contact see him no more."""
        self.world.contacts.discard(who)
        self.romeo.client.send(f"<presence to='{who}@montague.lit' type='unsubscribed'/>")

    def leave_or_come(self, who: str) -> None:
        """Somebody goes, or comes back."""
        if who in self.world.here:
            self.world.here.discard(who)
            self.people.pop(who).client.send("</stream:stream>")
        else:
            self.world.here.add(who)
            self.come(who)

    def restart(self) -> None:
        """The server is started again, and all come back."""
        self.house = self.house.restarted()
        self.everybody()

    def step(self, chance: Random) -> None:
        """Something happens."""
        who = chance.choice(PEOPLE)
        happening = chance.choices(
            ("publish", "retract", "change", "affiliate", "befriend", "part", "move", "restart"),
            (10, 3, 6, 5, 3, 0.3, 8, 0.5),
        )
        match happening[0]:
            case "publish":
                self.publish(chance.choice("abc"))
            case "retract":
                self.retract(chance.choice("abc"))
            case "change":
                self.change(chance)
            case "affiliate":
                affiliations = ("none", "none", "member", "publisher", "publish-only", "outcast")
                self.affiliate(who, chance.choice(affiliations))
            case "befriend" if who in self.world.contacts:
                self.befriend(who, friend=chance.random() < 0.7)
            case "part" if who in self.world.contacts:
                self.part(who)
            case "move":
                self.leave_or_come(who)
            case "restart":
                self.restart()

    # -- what has to hold -------------------------------------------------------------------------

    def look(self) -> None:
        """The node is as the world says, for everybody; nobody was told anything meanwhile."""
        expected = [words for _, words in self.world.items]
        self.romeo.forget()
        self.assertEqual(self.romeo.items(NEWS), expected)
        for who, person in self.people.items():
            self.assertEqual(person.words(), [], f"{who} was told")
            query = f"<pubsub xmlns='{NS}'><items node='{NEWS}'/></pubsub>"
            answer = person.ask("get", query, "romeo@montague.lit")
            may = self.world.reads(who)
            self.assertEqual(result_of(answer) == "result", may, f"{who} reads")
            found = [each.text for each in answer.iter(WORDS)]
            self.assertEqual(found, expected if may else [], ElementTree.tostring(answer))

    def test_any_order(self) -> None:
        """Items and their order, access, what is told and what is sent to who comes are as the
        model says, after each step.
        """
        for seed in range(some_seed(), some_seed() + SCHEDULES):
            chance = Random(seed)
            self.begin()
            with self.subTest(seed=seed):
                for _ in range(STEPS):
                    self.step(chance)
                    self.look()
