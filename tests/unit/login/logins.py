"""What the tests of SASL2 say to a server: logins as a client writes them."""

from base64 import b64decode, b64encode
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from xmppd.login.bind2 import NS as BIND2
from xmppd.login.sasl2 import NS as SASL2
from xmppd.stanza import ns
from xmppd.testing.house import PASSWORD

HEADER = (
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    " to='montague.lit' version='1.0'>"
)
PHONE = "d4565fa7-4d72-4749-b3d3-740edbf87770"
LAPTOP = "2a9c0a5e-6f0e-4a0d-9d1f-0b5f2ad0c3b7"
BIND = f"<bind xmlns='{BIND2}'><tag>Balcony</tag></bind>"


def text_of(message: bytes | str) -> str:
    """A message of SASL as it is carried."""
    return b64encode(message.encode() if isinstance(message, str) else message).decode()


def plain(name: str = "romeo", password: str = PASSWORD) -> str:
    """The message of PLAIN."""
    return f"\0{name}\0{password}"


def agent(id: str = PHONE, software: str = "Balcony", device: str = "phone") -> str:
    """A ``<user-agent/>``."""
    return (
        f"<user-agent id='{id}'><software>{software}</software><device>{device}</device>"
        "</user-agent>"
    )


def authenticate(
    message: bytes | str | None = None, *inline: str, mechanism: str = "PLAIN", agent: str = ""
) -> str:
    """An ``<authenticate/>`` with this first message; of PLAIN and the right one, if none is given.

    Args:
        message: What the mechanism says first.
        inline: What else is asked for.
        mechanism: Its name.
        agent: Who logs in.
    """
    initial = text_of(plain() if message is None else message)
    return (
        f"<authenticate xmlns='{SASL2}' mechanism='{mechanism}'>"
        f"<initial-response>{initial}</initial-response>{agent}{''.join(inline)}</authenticate>"
    )


def response(message: bytes) -> str:
    """The next message of an exchange."""
    return f"<response xmlns='{SASL2}'>{text_of(message)}</response>"


class Answer:
    """What the server said: the elements after its header, in order.

    Attributes:
        elements: All of them.
    """

    def __init__(self, data: bytes) -> None:
        text = data.decode().removesuffix("</stream:stream>")
        head, found, rest = text.rpartition("version='1.0' xml:lang='en'")
        body = rest.partition(">")[2] if found else head + rest
        self.elements: list[Element] = list(
            ElementTree.fromstring(f"<s xmlns:stream='{ns.STREAM}'>{body}</s>")
        )

    def __str__(self) -> str:
        return "\n".join(ElementTree.tostring(one, "unicode") for one in self.elements)

    @property
    def names(self) -> list[str]:
        """Their names, without namespaces."""
        return [one.tag.rpartition("}")[2] for one in self.elements]

    def __getitem__(self, name: str) -> Element:
        """The first element of this name."""
        for one in self.elements:
            if one.tag.rpartition("}")[2] == name:
                return one
        raise AssertionError(f"no {name} in {self}")

    @property
    def identifier(self) -> str:
        """Who the client is now."""
        return self["success"].findtext(f"{{{SASL2}}}authorization-identifier") or ""

    @property
    def additional(self) -> bytes:
        """What the mechanism said last."""
        for name in ("success", "continue"):
            if name in self.names:
                return b64decode(self[name].findtext(f"{{{SASL2}}}additional-data") or "")
        raise AssertionError(f"no success in {self}")

    @property
    def challenge(self) -> bytes:
        """What the mechanism asks."""
        return b64decode(self["challenge"].text or "")

    @property
    def failure(self) -> str:
        """The condition of a failure."""
        return self["failure"][0].tag.removeprefix(f"{{{ns.SASL}}}")

    @property
    def stream_error(self) -> str:
        """The condition of a stream error."""
        return self["error"][0].tag.removeprefix(f"{{{ns.STREAM_ERRORS}}}")
