"""A house with guestbooks, and what is said about them there."""

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask
from xmppd.command.command_context import SHELL, Actor
from xmppd.command.reply import Reply
from xmppd.stanza import Tree
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config
from xmppd_plugins.guestbook.book import NS

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"
BOOK = "romeo@guestbook.montague.lit"


def sign(client: Client, words: str = "Ay me!", to: str = ROMEO) -> Tree:
    """The answer to a client that signs a book."""
    return ask(client, "set", f"<sign xmlns='{NS}'>{words}</sign>", to)


def book(client: Client, to: str = ROMEO, before: str = "") -> Tree:
    """The answer to a client that reads a book."""
    page = f" before='{before}'" if before else ""
    return ask(client, "get", f"<guestbook xmlns='{NS}'{page}/>", to)


def entries(answer: Tree) -> list[tuple[str, str]]:
    """Who has written what, in a book that was read."""
    found = answer.iterfind(f".//{{{NS}}}entry")
    return [(entry.get("by", ""), entry.text or "") for entry in found]


def visitors(answer: Tree) -> list[str]:
    """The visitors, in a book that was read by its owner."""
    return [found.get("jid", "") for found in answer.iterfind(f".//{{{NS}}}visitor")]


def watch(client: Client, attributes: str = "") -> None:
    """Let a client watch its book."""
    ask(client, "set", f"<watch xmlns='{NS}' {attributes}/>")


class BookCase(SynchronousTestCase):
    """Romeo and Juliet are contacts; Tybalt is none."""

    plugins: tuple[str, ...] = ("disco", "adhoc_commands", "guestbook")

    def setUp(self) -> None:
        self.house = House(
            config=house_config("montague.lit"),
            plugins=self.plugins,
            romeo={"juliet": "both"},
            juliet={"romeo": "both"},
            tybalt={},
        )
        self.romeo, self.juliet, self.tybalt = self.house.connect("romeo", "juliet", "tybalt")
        self.romeo.raw()

    def configure(self, **limits: object) -> None:
        """Give the table another content, as SIGHUP does."""
        self.house.reload(house_config("montague.lit", guestbook=limits))

    def give(self, name: str, actor: Actor = SHELL, **arguments: object) -> list[Reply]:
        """The answer of a command."""

        async def run() -> list[Reply]:
            table = self.house.server.commands
            asked = table.asked(f"guestbook {name}", arguments, actor)
            return [reply async for reply in table.replies(*asked)]

        return done(run())
