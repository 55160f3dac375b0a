"""A client by BOSH in memory; each of its requests has a connection of its own."""

from xml.etree import ElementTree

from xmppd.stanza import ns
from xmppd.stream.stanza_handler import StanzaHandler
from xmppd.testing.network import Home
from xmppd.testing.web import WebClient
from xmppd.web.bosh_body import HTTPBIND, XBOSH
from xmppd.web.bosh_session import BoshSession

_BEGIN = f"<body xmlns='{HTTPBIND}' xmlns:xmpp='{XBOSH}'"
CREATE = "to='montague.lit' wait='60' hold='1' ver='1.6' xmpp:version='1.0'"


class BoshAnswer:
    """A body that came.

    Attributes:
        data: Its bytes.
        tree: The same, read.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.tree = ElementTree.fromstring(data)
        assert self.tree.tag == f"{{{HTTPBIND}}}body", data

    def get(self, name: str) -> str | None:
        """An attribute."""
        return self.tree.get(name)

    @property
    def names(self) -> list[str]:
        """The names of its elements."""
        return [each.tag for each in self.tree]

    @property
    def condition(self) -> str | None:
        """Why it ends the session; empty if it says no reason, None if it does not end it."""
        return (self.get("condition") or "") if self.get("type") == "terminate" else None


class BoshClient:
    """Speaks XMPP by BOSH.

    Attributes:
        house: Is asked.
        rid: The number of its last request.
        sid: Of its session.
        sent_by: Makes the connection of a request.
    """

    def __init__(self, house: Home, rid: int = 1_000, address: str = "192.0.2.1") -> None:
        self.house = house
        self.rid = rid
        self.address = address
        self.sid = ""
        self.sent_by = lambda: WebClient(self.house, address)

    def ask(self, attributes: str = "", content: str = "", rid: int | None = None) -> WebClient:
        """Send a body, the next one unless it says otherwise; its connection."""
        if rid is None:
            self.rid += 1
            rid = self.rid
        sid = f" sid='{self.sid}'" if self.sid else ""
        begin = f"{_BEGIN} rid='{rid}'{sid} {attributes}"
        return self.raw(f"{begin}>{content}</body>" if content else f"{begin}/>")

    def raw(self, body: str | bytes) -> WebClient:
        """Send these bytes as a body; its connection."""
        web = self.sent_by()
        data = body.encode() if isinstance(body, str) else body
        web.ask("POST", "/bosh", data, {"Content-Type": "text/xml; charset=utf-8"})
        self.house.clock.advance(0)
        return web

    def said(self, attributes: str = "", content: str = "", rid: int | None = None) -> BoshAnswer:
        """The answer to a body, which must be there at once."""
        return answer(self.ask(attributes, content, rid))

    def create(self, attributes: str = CREATE) -> BoshAnswer:
        """Make a session."""
        created = self.said(attributes)
        self.sid = created.get("sid") or ""
        return created

    @property
    def session(self) -> BoshSession:
        """The server's side of it."""
        return self.house.server.bosh_sessions.sessions[self.sid]

    def log_in(self, name: str) -> None:
        """Log in and bind a resource."""
        self.create()
        handler = self.session.handler
        assert handler is not None
        assert isinstance(handler.stream_handler, StanzaHandler)
        handler.stream_handler.authenticated(self.house.jid(name))
        handler.restart()
        self.said("xmpp:restart='true' to='montague.lit'")
        bind = f"<bind xmlns='{ns.BIND}'><resource>1</resource></bind>"
        self.said("", f"<iq xmlns='jabber:client' type='set' id='b'>{bind}</iq>")


def answer(web: WebClient) -> BoshAnswer:
    """What came by a connection."""
    web.house.clock.advance(0)
    came = web.answer()
    assert came.status == 200, came
    assert came.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert came.headers["Access-Control-Allow-Origin"] == "*"
    return BoshAnswer(came.body)


def waits(web: WebClient) -> bool:
    """Whether a request is not answered yet."""
    web.house.clock.advance(0)
    return not web.transport.value()
