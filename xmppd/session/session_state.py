"""What a part of the server knows of a session, and wants to know after a restart as well."""

from collections.abc import Callable
from dataclasses import dataclass

from xmppd.session.local_client_session import LocalClientSession


@dataclass(frozen=True)
class SessionState:
    """Saves something of each session that outlives the server (RS-9).

    Attributes:
        name: What it is; nobody else's.
        dump: Gets a session, returns what is to be saved; None if there is nothing.
        load: Gets the session and what was saved. The account's roster and privacy lists have been
            read by then; no client is connected.
    """

    name: str
    dump: Callable[[LocalClientSession], bytes | None]
    load: Callable[[LocalClientSession, bytes], None]
