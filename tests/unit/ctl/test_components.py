"""Which components are connected, and what the log has said, for administrators."""

from typing import cast

from twisted.logger import ILogObserver, Logger
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from xmppd.testing.house import House, house_config

SECRET = "for this test"
ECHO = "echo.montague.lit"


class ComponentTests(SynchronousTestCase):
    """component list."""

    def test_list(self) -> None:
        """A component is absent until it connects, and again when it has left; services inside are
        there.
        """
        component = [{"name": ECHO, "secret": SECRET, "max_connections": 2}]
        config = house_config("montague.lit", component=component)
        house = House(config=config, plugins=("muc",))
        office = Office(house)

        def rows() -> dict[str, tuple[object, ...]]:
            keys = ("kind", "state", "connections", "addresses")
            found = office.rows("component list")
            return {str(row["domain"]): tuple(row[key] for key in keys) for row in found}

        absent: tuple[object, ...] = ("component", "absent", 0, [])
        service: tuple[object, ...] = ("service", "connected", 0, [])
        self.assertEqual(rows(), {"conference.montague.lit": service, ECHO: absent})
        echo = house.service(ECHO, SECRET)
        self.assertEqual(rows()[ECHO], ("component", "connected", 1, ["127.0.0.1"]))
        echo.abort()
        self.assertEqual(rows()[ECHO], absent)


class LogTests(SynchronousTestCase):
    """log list."""

    def test_list(self) -> None:
        """The newest come first; they are chosen by level and words, and so many at most."""
        office = Office(House())
        voice = Logger("somebody", observer=cast(ILogObserver, office.life.recent.note))
        voice.warn("the candle is out")
        voice.error("the nurse is late")
        voice.warn("the nurse is here")

        def said(**given: object) -> list[object]:
            return [row["message"] for row in office.rows("log list", **given)]

        self.assertEqual(said(), ["the nurse is here", "the nurse is late", "the candle is out"])
        self.assertEqual(said(level="error"), ["the nurse is late"])
        self.assertEqual(said(words="Nurse", rows="1"), ["the nurse is here"])
        self.assertEqual(len(said(words="somebody")), 3)


__all__ = ["ComponentTests", "LogTests"]
