"""XEP-0202: Entity Time. What time is it where the server is?"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.host.clocks import Clocks
from xmppd.plugin.place import Part
from xmppd.stanza import IQ, Element, child, element, qname
from xmppd.stanza.date_time import date_time

NS = "urn:xmpp:time"


@dataclass(frozen=True)
class IQTimeHandler(IQHandler):
    """Say the server's time in UTC, and how far its zone is from that; accounts have no clock."""

    wall_clock: Callable[[], float]

    query = qname(NS, "time")
    features = (NS,)

    def on_get(self, iq: IQ, asked: Asked) -> Element:
        now = self.wall_clock()
        answer = element(NS, "time")
        child(answer, "tzo", zone_offset(time.localtime(now).tm_gmtoff))
        child(answer, "utc", date_time(now))
        return answer


def zone_offset(seconds: int) -> str:
    """Seconds east of Greenwich as :xep:`0082` writes them: ``-06:00``."""
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{'-' if seconds < 0 else '+'}{hours:02}:{minutes:02}"


def plug(clocks: Clocks) -> list[Part]:
    """The parts of this feature."""
    return [IQTimeHandler(clocks.wall_clock)]
