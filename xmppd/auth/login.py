"""The login of a session: its mechanism and its software, for its owner to know."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UserAgent:
    """A client's description of itself (:xep:`0388#initiation`); all of it may be empty.

    Attributes:
        id: The id of the installation, which is given to nobody else.
        software: The client's name.
        device: The owner's name for the device.
    """

    id: str = ""
    software: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """The proof that a session began with.

    Attributes:
        mechanism: Name of the SASL mechanism.
        binding: The type of channel binding, such as ``tls-exporter``; empty if there was none.
        agent: The client.
        proof: Names the token of somebody else that it was proved by; empty if there was none.
    """

    mechanism: str
    binding: str = ""
    agent: UserAgent = UserAgent()
    proof: str = ""

    @property
    def by_token(self) -> bool:
        """Whether the proof was a token: then its client has logged in before."""
        return self.mechanism.startswith("HT-")
