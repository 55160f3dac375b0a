"""SessionState: data of a session that a part of the server keeps over a restart."""

from collections.abc import Callable
from dataclasses import dataclass

from xmppd.session.local_client_session import LocalClientSession

Put = Callable[[LocalClientSession], None]
"""Puts the saved state on a session."""


@dataclass(frozen=True)
class SessionState:
    """Saves something of each session that outlives the server (RS-9).

    Attributes:
        name: Its name, which no other has.
        dump: Gets a session, returns the bytes to save; None if there are none.
        load: Gets the saved bytes, and returns a function that puts them on the session. It raises,
            and has changed nothing, if they cannot be read: then the session is not restored. When
            the session gets it, the account's roster and privacy lists have been read; no client is
            connected.
    """

    name: str
    dump: Callable[[LocalClientSession], bytes | None]
    load: Callable[[bytes], Put]
