"""How a session proved whose it is, and with what software: for its owner to know."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UserAgent:
    """A client as it describes itself (:xep:`0388#initiation`); all of it may be empty.

    Attributes:
        id: The installation's own, which nobody else is told.
        software: What it calls itself.
        device: What its owner calls the device.
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
        agent: Who logged in.
    """

    mechanism: str
    binding: str = ""
    agent: UserAgent = UserAgent()

    @property
    def by_token(self) -> bool:
        """Whether it was a token: then its client has been here before."""
        return self.mechanism.startswith("HT-")
