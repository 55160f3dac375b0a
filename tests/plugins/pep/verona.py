"""People in Verona who publish, with clients that want to be told."""

from xml.etree import ElementTree

from tests.plugins.pubsub.verona import ENTRY, EVENT, NS, WORDS, form, result_of
from tests.plugins.test_client_capabilities import presence, said, ver
from xmppd.stanza import Tree
from xmppd.stanza.xml import local_name
from xmppd.testing.client import Client

NEWS, TUNE = "urn:news", "urn:tune"
WANTS = (f"{NEWS}+notify",)


def options(**values: str) -> str:
    """Publish options."""
    filled = form(f"{NS}#publish-options", **values)
    return f"<publish-options>{filled}</publish-options>"


def publishing(node: str, id: str, words: str, beside: str = "") -> str:
    """A request to publish."""
    item = f"<item id='{id}'>{ENTRY.format(words)}</item>"
    return f"<pubsub xmlns='{NS}'><publish node='{node}'>{item}</publish>{beside}</pubsub>"


class Publisher:
    """Publishes, and is told.

    Args:
        client: Theirs.
        bare: Their account.

    Attributes:
        features: Of the client.
        came: What has come and was not looked at.
    """

    features: tuple[str, ...] = WANTS

    def __init__(self, client: Client, bare: str) -> None:
        self.client = client
        self.bare = bare
        self.came: list[Tree] = []

    def read(self) -> None:
        """Take what has come, and answer what is asked."""
        for raw in self.client.received():
            tree = ElementTree.fromstring(raw)
            query = tree.find("{http://jabber.org/protocol/disco#info}query")
            if tree.tag == "iq" and tree.get("type") == "get" and query is not None:
                self.client.send(
                    f"<iq type='result' id='{tree.get('id')}' to='{tree.get('from')}'>"
                    f"{said(self.features)}</iq>"
                )
            else:
                self.came.append(tree)

    def arrive(self, *features: str, priority: int = 0) -> None:
        """Become available with a client that has these features."""
        self.features = features or WANTS
        sent = presence(ver(*self.features))
        self.client.send(sent.replace("</presence>", f"<priority>{priority}</priority></presence>"))
        self.read()
        self.read()

    def ask(self, kind: str, query: str, to: str = "") -> Tree:
        """The answer to a request."""
        address = f" to='{to}'" if to else ""
        self.read()
        self.client.send(f"<iq type='{kind}' id='ask'{address}>{query}</iq>")
        self.read()
        (answer,) = [each for each in self.came if each.get("id") == "ask"]
        self.came.remove(answer)
        return answer

    def publish(self, node: str, words: str, id: str = "current", beside: str = "") -> str:
        """Publish; returns how that ended."""
        return result_of(self.ask("set", publishing(node, id, words, beside)))

    def items(self, node: str, to: str = "") -> list[str]:
        """The words of a node; or why there are none."""
        answer = self.ask("get", f"<pubsub xmlns='{NS}'><items node='{node}'/></pubsub>", to)
        if answer.get("type") == "error":
            return [result_of(answer)]
        return [item.findtext(WORDS) or "" for item in answer.iter(f"{{{NS}}}item")]

    def told(self) -> list[tuple[str, str]]:
        """Who has told what since somebody looked: bare JID, and words or what happened."""
        self.read()
        found = []
        for tree in self.came:
            for event in tree.iter(f"{{{EVENT}}}event"):
                bare = (tree.get("from") or "").partition("/")[0]
                inside = event[0]
                if local_name(inside.tag) != "items":
                    found.append((bare, local_name(inside.tag)))
                items, gone = inside.iter(f"{{{EVENT}}}item"), inside.iter(f"{{{EVENT}}}retract")
                found += [(bare, item.findtext(WORDS) or "") for item in items]
                found += [(bare, f"{item.get('id')} is gone") for item in gone]
        self.came.clear()
        return found

    def forget(self) -> None:
        """Forget what has come."""
        self.told()


__all__ = ["NEWS", "TUNE", "Publisher", "options", "publishing"]
