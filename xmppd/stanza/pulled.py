"""Stanzas that a client has asked for, and is sent as fast as it reads."""

from xmppd.stanza.stanza import Payload


class Pulled(Payload):
    """The payload of a stanza that a client pulls (SE-13): whoever made it can make it again."""

    __slots__ = ()
