"""ANONYMOUS: a login without an account (:rfc:`4505`, :xep:`0175`)."""

from xmppd.auth.base import AuthProvider, Exchange
from xmppd.auth.message import malformed, text_of
from xmppd.stanza.guests import new_guest

MAX_TRACE_CHARACTERS = 255


class AnonymousMechanism:
    """One message, the trace, which is not kept; the account is a name that was never used before.

    No store knows that account, so no provider is asked.
    """

    binding = ""

    def __init__(self, exchange: Exchange, provider: AuthProvider) -> None:
        self.account: str | None = None
        self._domain = exchange.domain

    async def step(self, response: bytes) -> bytes:
        """Let the client in."""
        if len(text_of(response)) > MAX_TRACE_CHARACTERS:
            raise malformed(f"a trace of more than {MAX_TRACE_CHARACTERS} characters")
        self.account = new_guest(self._domain).bare
        return b""
