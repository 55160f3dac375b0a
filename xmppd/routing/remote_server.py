"""Other servers: the event that one cannot be reached."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RemoteServerLost:
    """A server, or a component, cannot be reached any more.

    A stanza for it came back; a stream that was closed because it was idle means nothing. Our users
    see everybody there leave; presence that comes from there later is true again.

    Attributes:
        local_domain: Our domain, in whose name it was spoken to.
        remote_domain: The domain that is lost.
    """

    local_domain: str
    remote_domain: str
