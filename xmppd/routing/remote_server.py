"""Other servers, as far as those who lead there tell the rest of the house."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RemoteServerLost:
    """A server, or a component, cannot be reached any more.

    A stanza for it came back; a stream that was closed because it was idle means nothing. Our users
    see everybody there leave; what they hear from there later is true again.

    Attributes:
        local_domain: Ours, in whose name it was spoken to.
        remote_domain: The one that is lost.
    """

    local_domain: str
    remote_domain: str
