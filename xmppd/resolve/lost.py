"""Errors for senders whose stanza cannot reach another server."""

from xmppd.stanza import Condition, StanzaError


class Disbelieved(StanzaError):
    """A server that rejects our certificate and hung up; without one it may accept us."""

    def __init__(self) -> None:
        super().__init__(
            Condition.REMOTE_SERVER_TIMEOUT, "the other server rejects this server's certificate"
        )


def not_found(text: str) -> StanzaError:
    """The server does not exist (:rfc:`6120#section-8.3.3.16`)."""
    return StanzaError(Condition.REMOTE_SERVER_NOT_FOUND, text)


def no_stream(text: str) -> StanzaError:
    """The server exists, and no stream to it could be made (:rfc:`6120#section-8.3.3.17`)."""
    return StanzaError(Condition.REMOTE_SERVER_TIMEOUT, text)
