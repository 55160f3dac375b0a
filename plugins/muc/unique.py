"""Unique names of rooms (:xep:`0307`), for who makes one of which nobody is to know."""

from base64 import b32encode
from secrets import token_bytes

from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.stanza import IQ, Element, element, qname

from .names import MUC

UNIQUE = f"{MUC}#unique"
NAME_BYTES = 16


class IQUniqueNameHandler(IQHandler):
    """Answer with a name that no room has, and that nobody guesses (RM-25)."""

    query = qname(UNIQUE, "unique")
    features = (UNIQUE,)

    def on_get(self, iq: IQ, asked: Asked) -> Element:
        name = b32encode(token_bytes(NAME_BYTES)).decode().rstrip("=").lower()
        return element(UNIQUE, "unique", name)


__all__ = ["IQUniqueNameHandler"]
