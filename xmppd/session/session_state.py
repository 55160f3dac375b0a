"""What a part of the server knows of a session, and wants to know after a restart as well."""

from collections.abc import Callable
from dataclasses import dataclass

from xmppd.session.local_client_session import LocalClientSession

Put = Callable[[LocalClientSession], None]
"""Puts on a session what was saved of it."""


@dataclass(frozen=True)
class SessionState:
    """Saves something of each session that outlives the server (RS-9).

    Attributes:
        name: What it is; nobody else's.
        dump: Gets a session, returns what is to be saved; None if there is nothing.
        load: Gets what was saved, and returns what puts it on the session. It raises, and has
            changed nothing, if that cannot be read: then the session is not taken up. When the
            session gets it, the account's roster and privacy lists have been read; no client is
            connected.
    """

    name: str
    dump: Callable[[LocalClientSession], bytes | None]
    load: Callable[[bytes], Put]
