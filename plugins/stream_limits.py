"""XEP-0478: Stream Limits Advertisement. How large a stanza may be, and how long a silence."""

from xmppd.config.config import StreamSettings
from xmppd.plugin.place import Part
from xmppd.stream.stream_feature import Stream, StreamFeature

NS = "urn:xmpp:stream-limits:0"


def plug(limits: StreamSettings) -> list[Part]:
    """The parts of this feature: the limits that hold at each point of the stream (§4)."""
    idle_s = min(limits.negotiation_timeout_s, limits.idle_timeout_s)
    before = limits_element(limits.max_preauth_stanza_bytes, idle_s)
    behind = limits_element(limits.max_stanza_bytes, limits.idle_timeout_s)
    return [
        StreamFeature(before, unless=Stream.AUTHENTICATED),
        StreamFeature(behind, needs=Stream.AUTHENTICATED),
    ]


def limits_element(max_bytes: int, idle_s: float) -> bytes:
    """The stream feature."""
    return (
        f"<limits xmlns='{NS}'><max-bytes>{max_bytes}</max-bytes>"
        f"<idle-seconds>{int(idle_s)}</idle-seconds></limits>"
    ).encode()
