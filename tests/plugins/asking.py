"""Requests in tests of plugins, and what came back."""

from xml.etree import ElementTree

from xmppd.stanza import ns
from xmppd.stanza.xml import Tree, local_name
from xmppd.testing.client import Client


def ask(client: Client, type: str, query: str, to: str = "") -> Tree:
    """The answer to a request; the only stanza that comes."""
    address = f" to='{to}'" if to else ""
    client.raw()
    client.send(f"<iq type='{type}' id='a'{address}>{query}</iq>")
    (answer,) = client.received()
    return ElementTree.fromstring(answer)


def condition(answer: Tree) -> str:
    """The condition of an error, with an application's own behind it; or the type of a result."""
    error = answer.find("error")
    if error is None:
        return answer.get("type", "")
    names = [local_name(child.tag) for child in error if child.tag != f"{{{ns.STANZA_ERRORS}}}text"]
    return " ".join(names)
