"""BOSH: the path of all sessions that are made of requests (:xep:`0124`, :xep:`0206`)."""

from collections.abc import Callable, Iterator
from functools import partial

from twisted.internet.defer import Deferred

from xmppd.config.config import WebSettings
from xmppd.net.connection_handler import TransportBinding
from xmppd.net.listener import Listeners
from xmppd.net.turn_end import AtEndOfTurn
from xmppd.stream.stanza_intake import served
from xmppd.web.bosh_body import MAX_TAG_BYTES, BadBody, Body, read_body, write_body
from xmppd.web.bosh_framing import BOSH, BOSH_PATH
from xmppd.web.bosh_session import (
    INACTIVITY_S,
    MAX_HOLD,
    MAX_PAUSE_S,
    MAX_WAIT_S,
    POLLING_S,
    BoshSession,
    BoshTerms,
    Poll,
    as_answer,
)
from xmppd.web.http_path import HTTPPath, anybody
from xmppd.web.request import HTTPRequest, HTTPResponse

PATHS = (BOSH_PATH, "/http-bind", "/http-bind/")
VERSION = (1, 11)
MAX_RID = 2**53 - 1
SPARE_RIDS = 1_000_000


Elsewhere = Callable[[HTTPRequest, str], HTTPResponse | Deferred[HTTPResponse] | None]


class BoshSessions:
    """All sessions by BOSH.

    Args:
        listeners: Make the ConnectionHandlers.
        domains: Those that are served.
        web: Says whose pages may be clients.
        at_end_of_turn: Calls a function when this turn of the reactor ends.

    Attributes:
        sessions: By name.
        node: The name of this node, which the names of its sessions end with; empty if there is
            no other.
        elsewhere: The answer of the node that has a session, if that is another one.
    """

    node = ""

    def __init__(
        self,
        listeners: Listeners,
        domains: tuple[str, ...],
        web: WebSettings,
        at_end_of_turn: AtEndOfTurn,
    ) -> None:
        self.sessions: dict[str, BoshSession] = {}
        self._listeners = listeners
        self._domains = domains
        self._web = web
        self._at_end_of_turn = at_end_of_turn
        self.elsewhere: Elsewhere = lambda request, node: None

    def use(self, web: WebSettings) -> None:
        """Go by other settings."""
        self._web = web

    def paths(self) -> Iterator[HTTPPath]:
        """Where clients ask; never a redirect, on which a POST would lose its body."""
        for path in PATHS:
            yield HTTPPath(
                path=path,
                methods=("POST",),
                access=anybody,
                handle=self.answer,
                body="small",
                origins=lambda: self._web.origins,
            )

    def answer(self, request: HTTPRequest) -> HTTPResponse | Deferred[HTTPResponse]:
        """The answer to a body."""
        try:
            body = read_body(request.body)
        except BadBody:
            return _terminate("bad-request")
        rid = _number(body.attributes.get("rid", ""))
        if rid is None or not 0 < rid <= MAX_RID:
            return _terminate("bad-request")
        if "sid" not in body.attributes:
            return self._create(request, rid, body)
        sid = body.attributes["sid"]
        session = self.sessions.get(sid)
        if session is None and (passed := self.elsewhere(request, sid.partition(".")[2])):
            return passed
        if session is None or (session.terms.secure and not request.encrypted):
            return _terminate("item-not-found")
        size_bytes = len(request.body)
        if size_bytes > MAX_TAG_BYTES and size_bytes > session.max_body_bytes:
            session.fail("policy-violation")
            return _terminate("policy-violation")
        return session.poll(request, rid, body)

    def _create(
        self, request: HTTPRequest, rid: int, body: Body
    ) -> HTTPResponse | Deferred[HTTPResponse]:
        """Make a session (BO-2)."""
        attributes = body.attributes
        if rid > MAX_RID - SPARE_RIDS:
            return _terminate("bad-request")
        to = attributes.get("to", "")
        if not to:
            return _terminate("improper-addressing")
        if served(to, self._domains) is None:
            return _terminate("host-unknown")
        wait_s = min(_number(attributes.get("wait", "")) or 0, MAX_WAIT_S)
        hold = min(_number(attributes.get("hold", "1")) or 0, MAX_HOLD) if wait_s else 0
        terms = BoshTerms(wait_s, hold, request.encrypted)
        session = BoshSession(
            terms,
            rid,
            request.address,
            self._listeners.clock,
            self._at_end_of_turn,
            self._forget,
        )
        if self.node:
            session.sid += f".{self.node}"
        self.sessions[session.sid] = session
        said: dict[str, str | None] = {
            "sid": session.sid,
            "wait": str(wait_s),
            "hold": str(hold),
            "requests": str(terms.window),
            "inactivity": str(INACTIVITY_S),
            "polling": str(POLLING_S),
            "maxpause": str(MAX_PAUSE_S),
            "ver": _version(attributes.get("ver", "")),
            "ack": str(rid),
            "from": to,
            "xmpp:version": "1.0",
            "xmpp:restartlogic": "true",
        }
        poll = Poll(rid, body, self._listeners.clock.seconds())
        request.gone.then(partial(session.gone, poll))
        binding = TransportBinding(None, is_secure=request.encrypted, framing=BOSH)
        session.begin(self._listeners.client(binding), poll, said)
        return poll.answer

    def _forget(self, session: BoshSession) -> None:
        self.sessions.pop(session.sid, None)

    def swept(self) -> tuple[BoshSession, ...]:
        """The sessions, to be looked at: what has waited for long, and whom nobody asks for."""
        return tuple(self.sessions.values())


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 16 else None


def _version(text: str) -> str:
    """The lower one of the client's version and ours."""
    major, _, minor = text.partition(".")
    theirs = _number(major), _number(minor)
    if theirs[0] is None or theirs[1] is None:
        return "{}.{}".format(*VERSION)
    return "{}.{}".format(*min((theirs[0], theirs[1]), VERSION))


def _terminate(condition: str) -> HTTPResponse:
    return as_answer(write_body({"type": "terminate", "condition": condition}))
