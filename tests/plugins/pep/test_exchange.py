"""What an account publishes is carried to another server (PE-20)."""

from pathlib import Path
from xml.etree.ElementTree import canonicalize

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.pep.verona import NEWS, TUNE, Publisher, options
from tests.plugins.pubsub.verona import NS
from xmppd.command.command_context import SHELL
from xmppd.command.refused import Refused
from xmppd.testing.client import done
from xmppd.testing.house import House

ROMEO = "romeo@montague.lit"
ADDED = "nodes created: {}, items added: {}"


def said(house: House, name: str, **given: str) -> list[str]:
    """What a command says at the shell."""
    commands = house.server.commands
    asked = commands.asked(name, given, SHELL)

    async def read() -> list[str]:
        return [str(reply) async for reply in commands.replies(*asked)]

    return done(read())


class ExchangeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.romeo, self.house = self.home()
        self.romeo.publish(NEWS, "hi", "1", options(access_model="open", max_items="10"))
        self.romeo.publish(NEWS, "it is the &lt;east&gt;", "2")
        self.romeo.publish(TUNE, "la")
        self.file = Path(self.mktemp())
        self.file.write_text("".join(said(self.house, "pubsub export", account=ROMEO)))

    def home(self) -> tuple[Publisher, House]:
        """Romeo at a server that knows nothing of him."""
        house = House(plugins=("disco", "caps", "pubsub", "pep"), romeo={})
        (client,) = house.connect("romeo")
        romeo = Publisher(client, ROMEO)
        romeo.arrive()
        romeo.forget()
        return romeo, house

    def bring_in(self, house: House, file: Path | None = None) -> list[str]:
        """Import it; what was said."""
        return said(house, "pubsub import", account=ROMEO, file=str(file or self.file))

    def test_carried(self) -> None:
        """Another server has the same afterwards, and nobody was told."""
        romeo, house = self.home()
        self.assertEqual(self.bring_in(house), [ADDED.format(2, 3)])
        self.assertEqual(romeo.told(), [])
        self.assertEqual(romeo.items(NEWS), ["hi", "it is the <east>"])
        self.assertEqual(romeo.items(TUNE), ["la"])
        house.add("tybalt")
        (client,) = house.connect("tybalt")
        self.assertEqual(Publisher(client, "").items(NEWS, ROMEO), ["hi", "it is the <east>"])
        exported = "".join(said(house, "pubsub export", account=ROMEO))
        self.assertEqual(canonicalize(exported), canonicalize(self.file.read_text()))

    def test_stays(self) -> None:
        """What is there stays."""
        romeo, house = self.home()
        romeo.publish(NEWS, "mine", "1", options(max_items="10"))
        self.assertEqual(self.bring_in(house), [ADDED.format(1, 2)])
        self.assertEqual(romeo.items(NEWS), ["mine", "it is the <east>"])

    def test_nonsense(self) -> None:
        """What cannot be read is named, and what stood before it is there."""
        broken = Path(self.mktemp())
        broken.write_text(self.file.read_text().replace("</server-data>", ""))
        for text, reason in (
            (self.file.read_text().replace("</items>", "<", 1), "malformed or incomplete XML"),
            (self.file.read_text().replace(">open<", ">ajar<"), "access_model"),
        ):
            broken.write_text(text)
            _, house = self.home()
            error = self.assertRaises(Refused, self.bring_in, house, broken)
            self.assertIn(reason, str(error))
        self.assertRaises(Refused, self.bring_in, house, Path("/nowhere"))
        self.assertIn(NS, self.file.read_text())
