"""Stanzas, addresses, errors and XML. Pure values; no reactor, no socket, no store."""

from xmppd.stanza.error import Condition, ErrorType, StanzaError, StreamCondition, StreamError
from xmppd.stanza.jid import JID
from xmppd.stanza.later import Later
from xmppd.stanza.stanza import IQ, Message, Payload, Presence, Stanza
from xmppd.stanza.xml import Element, Tree, child, dump, element, escape, parse, qname

__all__ = [
    "IQ",
    "JID",
    "Condition",
    "Element",
    "ErrorType",
    "Later",
    "Message",
    "Payload",
    "Presence",
    "Stanza",
    "StanzaError",
    "StreamCondition",
    "StreamError",
    "Tree",
    "child",
    "dump",
    "element",
    "escape",
    "parse",
    "qname",
]
