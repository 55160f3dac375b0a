"""Traces for OpenTelemetry: the stages and times of one stanza in many, sent by OTLP (ME-7)."""

from pathlib import Path
from socket import gethostname
from urllib.parse import urlsplit

from twisted.internet.interfaces import IReactorTime

from xmppd.config.config import ClusterSettings
from xmppd.config.section import Section
from xmppd.host.clocks import Clocks
from xmppd.host.seldom import Seldom
from xmppd.plugin.place import AtUnload, Part
from xmppd.plugin.repeatedly import repeatedly
from xmppd.plugin.service_access import caller_trusting, secret_in
from xmppd.router.packet_router import PacketRouter
from xmppd.trace.trace import Trace

from .sampler import LOOK_S, SEND_S, Sampler, SpanSender

TIMEOUT_S = 10.0


class OTLPSettings(Section, frozen=True):
    """``[otlp]``: where traces are collected, and how many.

    Attributes:
        url: Of the collector, which takes OTLP by HTTP in JSON.
        one_in: The way of one stanza in so many is sent.
        secret_file: The absolute path of the secret by which the collector knows us, if it asks for
            one ("Authorization: Bearer").
        authorities: The absolute path of who signs its certificate; empty for those that this
            machine trusts.
    """

    url: str = "http://127.0.0.1:4318/v1/traces"
    one_in: int = 1_000
    secret_file: str = ""
    authorities: str = ""

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ValueError("url must begin with http:// or https://")
        if self.one_in < 1:
            raise ValueError("one_in must be 1 or more")
        for path in (self.secret_file, self.authorities):
            if path and not Path(path).is_absolute():
                raise ValueError(f"{path} must be an absolute path")


def plug(
    settings: OTLPSettings,
    cluster: ClusterSettings,
    traces: Trace,
    router: PacketRouter,
    clock: IReactorTime,
    clocks: Clocks,
) -> list[Part]:
    """The parts of this feature."""
    caller = caller_trusting("otlp", settings.authorities, clock, TIMEOUT_S)
    secret = secret_in("otlp", settings.secret_file)
    node = cluster.node or gethostname()
    sender = SpanSender(caller, settings.url, secret, node, Seldom(clocks.seconds))
    sampler = Sampler(traces, lambda: router.stanzas, settings.one_in, sender, clock, clocks)

    async def stop() -> None:
        sampler.stop()
        await sender.send()

    return [
        AtUnload(caller.close_kept),
        AtUnload(stop),
        repeatedly(sampler.look, LOOK_S, clock),
        repeatedly(sender.send, SEND_S, clock),
    ]
