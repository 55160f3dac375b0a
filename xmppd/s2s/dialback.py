"""Dialback: keys that only we can make, and the elements that carry them (:xep:`0220`)."""

from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from hmac import new as hmac

from xmppd.stanza import Condition, Tree, escape, ns, qname
from xmppd.stanza.jid import prepare_domain

RESULT = qname(ns.DIALBACK, "result")
VERIFY = qname(ns.DIALBACK, "verify")
_ERROR = qname(ns.SERVER, "error")
MAX_KEY_LENGTH = 1_024


class DialbackKeys:
    """The keys of :xep:`0185`: nothing has to be remembered to recognise one.

    Args:
        secret: Ours, used for nothing else.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = sha256(secret).hexdigest().encode()

    def key(self, receiving: str, originating: str, stream_id: str) -> str:
        """The key with which a domain of ours proves itself on a stream to another server.

        Args:
            receiving: The other server's domain.
            originating: Ours.
            stream_id: The other server's id of the stream, so that the key is good for no other.
        """
        text = f"{receiving} {originating} {stream_id}"
        return hmac(self._secret, text.encode(), "sha256").hexdigest()

    def is_ours(self, key: str, receiving: str, originating: str, stream_id: str) -> bool:
        """Whether this key is one that we have made for this stream."""
        expected = self.key(receiving, originating, stream_id)
        return compare_digest(expected.encode(), key.encode())


@dataclass(frozen=True)
class Dialback:
    """One element of dialback.

    Attributes:
        sender: The domain that sends it.
        to: The domain it is sent to.
        id: Of the stream in question; empty in a result.
        type: ``valid``, ``invalid`` or ``error`` in an answer; empty in a request.
        text: The key in a request; in an error its condition.
    """

    sender: str
    to: str
    id: str
    type: str
    text: str

    @classmethod
    def read(cls, tree: Tree) -> "Dialback":
        """Read an element.

        Raises:
            ValueError: It lacks an address, or has an invalid one.
        """
        kind = tree.get("type", "")
        error = tree.find(_ERROR)
        if kind == "error":
            condition = "" if error is None or not len(error) else error[0].tag
            text = condition.rpartition("}")[2]
        else:
            text = (tree.text or "").strip()
        return cls(
            prepare_domain(tree.get("from", "")),
            prepare_domain(tree.get("to", "")),
            tree.get("id", ""),
            kind,
            text[:MAX_KEY_LENGTH],
        )


def request(name: str, sender: str, to: str, key: str, *, id: str = "") -> bytes:
    """``<db:result/>`` or ``<db:verify/>`` with a key."""
    return f"<db:{name}{_head(sender, to, id)}>{escape(key)}</db:{name}>".encode()


def answer(name: str, sender: str, to: str, *, id: str = "", valid: bool) -> bytes:
    """The answer to a request: whether the key is valid."""
    kind = "valid" if valid else "invalid"
    return f"<db:{name}{_head(sender, to, id)} type='{kind}'/>".encode()


def refusal(name: str, sender: str, to: str, condition: Condition, *, id: str = "") -> bytes:
    """The error that answers a request (§2.4); the stream goes on."""
    return (
        f"<db:{name}{_head(sender, to, id)} type='error'><error type='{condition.usual.value}'>"
        f"<{condition.tag} xmlns='{ns.STANZA_ERRORS}'/></error></db:{name}>"
    ).encode()


def _head(sender: str, to: str, id: str) -> str:
    head = f" from='{escape(sender)}' to='{escape(to)}'"
    return f"{head} id='{escape(id)}'" if id else head
