"""Traces for OpenTelemetry, read as a collector reads them."""

import json
from base64 import b64encode
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

from google.protobuf.json_format import Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from twisted.internet.protocol import ServerFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from xmppd.config.table import ConfigError
from xmppd.host.seldom import Seldom
from xmppd.net.http_caller import HTTPCaller, NotAnswered
from xmppd.plugin.plugin_error import PluginError
from xmppd.plugin.seams import Replace
from xmppd.plugin.service_access import secret_in
from xmppd.router.message_router import MessageRouter
from xmppd.stanza import Message
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.trace.trace import TooManyTracers, Trace
from xmppd_plugins.otlp import OTLPSettings, sampler
from xmppd_plugins.otlp.sampler import (
    LOOK_S,
    MAX_AT_ONCE,
    MAX_SPANS_PER_REQUEST,
    Sampler,
    SpanSender,
)

HELLO = "<message to='juliet@montague.lit' type='chat'><body>a secret</body></message>"


def read(body: bytes) -> ExportTraceServiceRequest:
    """What a collector makes of a request. Ids are hexadecimal in OTLP, and in Base64 in what else
    is made of protocol buffers.
    """

    def with_ids(found: dict[str, Any]) -> dict[str, Any]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in found:
                found[name] = b64encode(bytes.fromhex(found[name])).decode()
        return found

    said = json.dumps(json.loads(body, object_hook=with_ids))
    return Parse(said, ExportTraceServiceRequest())


def spans(request: ExportTraceServiceRequest) -> list[Span]:
    """All spans of a request."""
    return [
        span
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def said(span: Span) -> dict[str, str]:
    """The attributes of a span that are texts."""
    return {each.key: each.value.string_value for each in span.attributes}


class Collector(HTTPCaller):
    """A collector that needs no network.

    Attributes:
        bodies: What it was sent.
        statuses: What it answers, one after the other; the last one goes on. None is no answer.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.statuses: list[int | None] = [200]

    async def ask(
        self, method: str, url: str, body: bytes = b"", headers: Any = None
    ) -> tuple[int, bytes]:
        """Answer as told."""
        self.bodies.append(body)
        self.headers.append(dict(headers))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status is None:
            raise NotAnswered("TimeoutError")
        return status, b""


class Case(SynchronousTestCase):
    """Romeo and Juliet, and a collector."""

    one_in = 1

    def setUp(self) -> None:
        self.house = House("montague.lit", romeo={"juliet": "both"}, juliet={"romeo": "both"})
        self.romeo, self.juliet = self.house.connect("romeo/orchard", "juliet/balcony")
        self.collector = Collector()
        seldom = Seldom(self.house.clock.seconds)
        self.sender = SpanSender(self.collector, "http://here/v1/traces", "s3", "node1", seldom)
        router = self.house.server.packet_router
        self.sampler = Sampler(
            self.house.traces,
            lambda: router.stanzas,
            self.one_in,
            self.sender,
            self.house.clock,
            self.house.clocks,
        )

    def take_next(self) -> None:
        """Have the next stanza taken."""
        self.romeo.send("<presence/>")
        self.sampler.look()
        self.romeo.received()

    def sent(self) -> list[Span]:
        """What the collector has got."""
        self.house.clock.advance(LOOK_S)
        done(self.sender.send())
        return [span for body in self.collector.bodies for span in spans(read(body))]


class SpanTests(Case):
    def test_stages(self) -> None:
        """A stage is a span below that of the stage before, with its times (ME-7)."""
        self.take_next()
        self.romeo.send(HELLO)
        found = self.sent()
        by_id = {span.span_id: span for span in found}
        chain = [next(span for span in found if span.name == "LocalClientSession")]
        while chain[-1].parent_span_id:
            chain.append(by_id[chain[-1].parent_span_id])
        self.assertEqual(
            [span.name for span in reversed(chain)],
            ["PacketRouter", "MessageRouter", "LocalClientSession"],
        )
        now_ns = self.house.wall_clock() * 1e9
        for below, above in pairwise(chain):
            self.assertGreaterEqual(below.start_time_unix_nano, above.start_time_unix_nano)
            self.assertLessEqual(below.end_time_unix_nano, above.end_time_unix_nano + 1_000)
            self.assertEqual(below.trace_id, above.trace_id)
            self.assertLess(abs(below.end_time_unix_nano - now_ns), 60e9)
        self.assertEqual({span.kind for span in chain[:-1]}, {Span.SPAN_KIND_INTERNAL})
        self.assertEqual(chain[-1].kind, Span.SPAN_KIND_SERVER)
        self.assertEqual(said(chain[0])["xmpp.outcome"], "delivered")
        self.assertEqual(len({bytes(span.span_id) for span in found}), len(found))

    def test_private(self) -> None:
        """What is said, and who says it to whom, is nobody's business there."""
        self.take_next()
        self.romeo.send(HELLO)
        self.sent()
        whole = b"".join(self.collector.bodies)
        for word in (b"secret", b"romeo", b"juliet", b"montague"):
            self.assertNotIn(word, whole)
        self.assertEqual(self.collector.headers[0]["Authorization"], "Bearer s3")

    def test_failed(self) -> None:
        """A stage that fails is an error."""

        class Broken(MessageRouter):
            def route(self, message: Message) -> None:
                raise RuntimeError("it is broken")

        undo = self.house.plugins.seams.put(Replace(MessageRouter, Broken), "tests")
        self.take_next()
        self.romeo.send(HELLO)
        undo()
        self.flushLoggedErrors(RuntimeError)
        failed = [span for span in self.sent() if span.name == "MessageRouter"]
        self.assertEqual([span.status.code for span in failed], [Status.STATUS_CODE_ERROR])

    def test_resource(self) -> None:
        """It says which server it is."""
        self.take_next()
        self.romeo.send(HELLO)
        self.sent()
        (resource,) = read(self.collector.bodies[0]).resource_spans
        of = {each.key: each.value.string_value for each in resource.resource.attributes}
        self.assertEqual((of["service.name"], of["service.instance.id"]), ("xmppd", "node1"))


class SamplingTests(Case):
    one_in = 10

    def traces(self) -> int:
        """The number of stanzas that were taken."""
        return len({bytes(span.trace_id) for span in self.sent()})

    def say(self, number: int) -> None:
        """So many messages, and then a look."""
        for _ in range(number):
            self.romeo.send(HELLO)
        self.sampler.look()
        self.house.clock.advance(LOOK_S)

    def test_one_in_many(self) -> None:
        """One of so many is taken, and between two of them no stage is watched (ME-7)."""
        self.say(9)
        self.assertEqual(self.house.traces.tracers, [])
        self.say(1)
        self.assertEqual(self.house.traces.tracers, [self.sampler])
        self.say(5)
        self.assertEqual(self.house.traces.tracers, [])
        self.say(5)
        self.say(5)
        self.assertEqual(self.traces(), 2)

    def test_busy(self) -> None:
        """Where many are due at once, some are taken one behind the other."""
        self.say(5 * 10 * MAX_AT_ONCE)
        self.say(2 * MAX_AT_ONCE)
        self.assertEqual(self.traces(), MAX_AT_ONCE)

    def test_administrators_go_first(self) -> None:
        """Where nobody more may trace, a stanza is taken later."""
        self.patch(Trace, "joined", self.full)
        self.say(10)
        self.assertEqual(self.house.traces.tracers, [])

    def full(self, *_: object) -> None:
        raise TooManyTracers("other traces are running")

    def test_stopped(self) -> None:
        """When the plugin goes, nothing is watched any more."""
        self.say(10)
        self.sampler.stop()
        self.assertEqual(self.house.traces.tracers, [])


class SendingTests(Case):
    def some(self, count: int) -> None:
        self.sender.put(iter([{"name": str(number)} for number in range(count)]))

    def names(self) -> Counter[str]:
        """How often each span has come."""
        found: Counter[str] = Counter()
        for body in self.collector.bodies:
            found.update(span.name for span in spans(read(body)))
        return found

    def test_pieces(self) -> None:
        """Many are sent in several requests, each once."""
        self.some(2 * MAX_SPANS_PER_REQUEST + 1)
        done(self.sender.send())
        self.assertEqual(len(self.collector.bodies), 3)
        self.assertEqual(set(self.names().values()), {1})

    def test_away(self) -> None:
        """What a collector cannot take now is sent when it can."""
        self.collector.statuses = [None, 503, 200]
        self.some(3)
        for _ in range(3):
            done(self.sender.send())
        self.assertEqual(self.names(), {"0": 3, "1": 3, "2": 3})
        self.assertEqual((len(self.sender.waiting), self.sender.dropped), (0, 0))

    def test_refused(self) -> None:
        """What it does not want is not sent again."""
        self.collector.statuses = [400]
        self.some(3)
        done(self.sender.send())
        self.assertEqual((len(self.sender.waiting), self.sender.dropped), (0, 3))
        self.assertEqual(len(self.collector.bodies), 1)

    def test_limit(self) -> None:
        """While it is away, only so many wait; the oldest are dropped."""
        self.patch(sampler, "MAX_WAITING_SPANS", 4)
        self.some(6)
        self.assertEqual(self.sender.dropped, 2)
        done(self.sender.send())
        self.assertEqual(set(self.names()), {"2", "3", "4", "5"})


class SettingsTests(SynchronousTestCase):
    def test_wrong(self) -> None:
        """Wrong options are refused in a sentence."""
        for wrong in ({"url": "localhost:4318"}, {"one_in": 0}, {"secret_file": "relative"}):
            with self.subTest(wrong=wrong):
                self.assertRaises((ValueError, ConfigError), OTLPSettings, **wrong)


class Requests(Resource):
    """Keeps what it was sent."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.came: list[bytes] = []

    def render_POST(self, request: Request) -> bytes:
        """Take it."""
        assert request.content is not None
        assert request.getHeader("content-type") == "application/json"
        self.came.append(request.content.read())
        return b"{}"


class WireTests(TestCase):
    """By real HTTP."""

    async def test_sent(self) -> None:
        """A collector gets it by one POST."""
        requests = Requests()
        site = cast(ServerFactory, Site(requests))
        port = cast(IReactorTCP, reactor).listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        caller = HTTPCaller.trusting("", cast(IReactorTime, reactor), 10.0)
        self.addCleanup(caller.close_kept)
        url = f"http://127.0.0.1:{port.getHost().port}/v1/traces"  # type: ignore[attr-defined]
        sender = SpanSender(caller, url, "", "node1", Seldom(lambda: 0.0))
        sender.put(iter([{"name": "PacketRouter", "traceId": "0" * 31 + "1"}]))
        await sender.send()
        self.assertEqual([span.name for span in spans(read(requests.came[0]))], ["PacketRouter"])


class PluginTests(SynchronousTestCase):
    def test_loaded(self) -> None:
        """It comes and goes like any plugin, and nothing of it stays."""
        house = House("montague.lit", plugins=("otlp",), romeo={})
        house.connect("romeo")
        self.assertIn("otlp", house.plugins.loaded)
        done(house.plugins.unload("otlp"))
        house.clock.advance(60)
        self.assertEqual(house.traces.tracers, [])

    def test_no_secret(self) -> None:
        """A secret that cannot be read is said with its option."""
        missing = str(Path(self.mktemp()).absolute())
        error = self.assertRaises(PluginError, secret_in, "otlp", missing)
        self.assertIn(f"otlp.secret_file {missing} cannot be read", str(error))
