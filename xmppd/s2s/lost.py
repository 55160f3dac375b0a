"""That another server cannot be reached: what senders are told, and what the house hears."""

from dataclasses import dataclass

from xmppd.stanza import Condition, StanzaError


def not_found(text: str) -> StanzaError:
    """There is no such server (:rfc:`6120#section-8.3.3.16`)."""
    return StanzaError(Condition.REMOTE_SERVER_NOT_FOUND, text)


def no_stream(text: str) -> StanzaError:
    """There is one, and no stream came of it (:rfc:`6120#section-8.3.3.17`)."""
    return StanzaError(Condition.REMOTE_SERVER_TIMEOUT, text)


@dataclass(frozen=True)
class RemoteServerLost:
    """What waited for another server came back to its senders: whoever was there is lost.

    A stream that was idle and is closed is no such thing.

    Attributes:
        local_domain: Ours, from which it was sent.
        remote_domain: Theirs.
    """

    local_domain: str
    remote_domain: str
