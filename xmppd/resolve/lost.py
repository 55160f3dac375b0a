"""That another server cannot be reached: what senders are told."""

from xmppd.stanza import Condition, StanzaError


class Disbelieved(StanzaError):
    """It does not believe our certificate, and hung up; without one it may take us."""

    def __init__(self) -> None:
        super().__init__(Condition.REMOTE_SERVER_TIMEOUT, "it does not believe our certificate")


def not_found(text: str) -> StanzaError:
    """There is no such server (:rfc:`6120#section-8.3.3.16`)."""
    return StanzaError(Condition.REMOTE_SERVER_NOT_FOUND, text)


def no_stream(text: str) -> StanzaError:
    """There is one, and no stream came of it (:rfc:`6120#section-8.3.3.17`)."""
    return StanzaError(Condition.REMOTE_SERVER_TIMEOUT, text)
