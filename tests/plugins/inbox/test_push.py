"""What push services are told of an inbox (PN-4)."""

from tests.plugins.push.service import GAP_S, MARKER, PLUGINS, ROMEO, PushCase, message


class CountTests(PushCase):
    """Juliet's phone is asleep, and she has an inbox."""

    plugins = ("archive", "inbox", *PLUGINS)

    def test_count(self) -> None:
        """The number of all messages that she has not read, also of those that were not told."""
        (desk,) = self.house.connect("juliet/desk")
        self.send(id="0")
        self.send(id="1")
        self.asleep()
        self.send(id="2")
        self.assertEqual([told.count for told in self.service.heard()], [3])
        self.wait(GAP_S)
        desk.send(message(ROMEO, MARKER.replace("id='m'", "id='1'")))
        (told,) = self.service.heard()
        self.assertEqual((told.count, told.body), (1, None))
        self.wait(GAP_S)
        desk.send(message(ROMEO))
        self.send(id="3")
        self.assertEqual([told.count for told in self.service.heard()], [1])
