"""What a device got does not come again to another one, whenever it leaves; what it did not get
comes once. The archive, rooms and carbons are loaded.
"""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import ns
from xmppd.testing.client import Client
from xmppd.testing.house import House

BODY = "Wherefore?"
AFTER_S = (0.0, 0.5, 3.0, 12.0)
PLUGINS = (
    "disco", "ping", "carbons", "archive", "muc", "room_archive", "room_unread", "inbox",
)  # fmt: skip
CARBONS = "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>"


class Phone:
    """A device that acknowledges what it is asked to, if it speaks XEP-0198.

    Args:
        house: Where it is.
        resource: Its name.
        managed: Whether it does.
    """

    def __init__(self, house: House, resource: str, *, managed: bool) -> None:
        self.client: Client = house.bind("juliet", resource)
        self.heard = self._handled = 0
        if managed:
            self.client.enable()
        self.client.send(f"{CARBONS}<presence/>")
        self.listen()

    def listen(self) -> None:
        """Read what has come, and say so if asked."""
        while came := self.client.elements():
            for each in came:
                self._handled += each.startswith(("<message", "<presence", "<iq"))
                self.heard += each.count(f"<body>{BODY}</body>")
                if each.startswith("<r "):
                    self.client.send(f"<a xmlns='{ns.STREAM_MANAGEMENT}' h='{self._handled}'/>")


class DoublesTests(SynchronousTestCase):
    def course(self, after_s: float, *, managed: bool, cut: bool) -> tuple[int, int]:
        """How often the first device hears the message, and the second one, which comes when that
        is gone.
        """
        house = House(plugins=PLUGINS, romeo={}, juliet={})
        (romeo,) = house.connect("romeo")
        first = Phone(house, "phone", managed=managed)
        if cut:
            first.client.stop_reading()
        romeo.send(f"<message to='juliet@montague.lit' type='chat'><body>{BODY}</body></message>")
        if not cut:
            first.listen()
        house.clock.advance(after_s)
        if cut:
            first.client.abort()
            house.clock.advance(301)  # nobody resumes it any more
        else:
            first.client.send("</stream:stream>")
        second = Phone(house, "desk", managed=managed)
        house.clock.advance(301)
        second.listen()
        return first.heard, second.heard

    def test_closed(self) -> None:
        """Who has read a message and closes the stream in good order, at once or later: it does not
        come again.
        """
        for managed in (False, True):
            for after_s in AFTER_S:
                with self.subTest(managed=managed, after_s=after_s):
                    self.assertEqual(self.course(after_s, managed=managed, cut=False), (1, 0))

    def test_cut(self) -> None:
        """Who is cut off before reading it: it comes once to the next device."""
        for managed in (False, True):
            for after_s in AFTER_S:
                with self.subTest(managed=managed, after_s=after_s):
                    self.assertEqual(self.course(after_s, managed=managed, cut=True), (0, 1))
