"""Houses that people move out of and into."""

from collections.abc import Mapping
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.command.command_context import SHELL
from xmppd.command.reply import Reply
from xmppd.ctl.moving import MovedRow
from xmppd.store.one_sided import RANGES
from xmppd.testing.client import done
from xmppd.testing.house import House

PLUGINS = (
    "disco", "caps", "pubsub", "pep", "archive", "vcard", "vcard4", "private_storage", "blocking",
    "bookmarks", "avatars",
)  # fmt: skip
TURNS = 2 * RANGES
"""Of the reactor, for what takes some."""


def give(house: House, name: str, **given: object) -> list[Reply]:
    """The answer of a command."""

    async def run() -> list[Reply]:
        table = house.server.commands
        asked = table.asked(name, given, SHELL)
        return [reply async for reply in table.replies(*asked)]

    work = Deferred.fromCoroutine(run())
    for _ in range(TURNS):
        if work.called:
            break
        house.clock.advance(0)
    return done(work)


def rows(replies: list[Reply]) -> list[str]:
    """What was said of people."""
    return [reply.says for reply in replies if isinstance(reply, MovedRow)]


class MovingCase(SynchronousTestCase):
    """Files, and an empty house."""

    def setUp(self) -> None:
        self.house = House(plugins=PLUGINS)
        self.directory = Path(self.mktemp())
        self.directory.mkdir(parents=True)

    def bring(self, source: Path, format: str = "xep0227", **given: object) -> list[str]:
        """Import; what was said of people."""
        return rows(give(self.house, "import", format=format, source=str(source), **given))

    def told(self, source: Path, format: str, **given: object) -> list[str]:
        """Import; what was said of all that are no people."""
        replies = give(self.house, "import", format=format, source=str(source), **given)
        return [reply for reply in replies if isinstance(reply, str)]

    def file(self, people: str, name: str = "people.xml") -> Path:
        """A file of people at montague.lit."""
        path = self.directory / name
        head = "<server-data xmlns='urn:xmpp:pie:0'><host jid='montague.lit'>"
        path.write_text(f"{head}{people}</host></server-data>", encoding="utf-8")
        return path

    def knows(self, account: str, password: str) -> bool:
        """Whether that is the password of an account."""
        return done(self.house.server.auth_provider.check_password(account, password))

    def subscriptions(self, account: str) -> Mapping[str, str]:
        """The contacts of an account, each with its subscription."""
        roster = done(self.house.store.rosters.roster(account))
        return {item.jid: item.subscription for item in roster.items}

    def exported(self, house: House, name: str) -> dict[str, bytes]:
        """The files of an export."""
        directory = self.directory / name
        give(house, "export", format="xep0227", directory=str(directory))
        return {
            str(path.relative_to(directory)): path.read_bytes()
            for path in sorted(directory.rglob("*.xml"))
        }
