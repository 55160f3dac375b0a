"""The table ``[pep]`` of the configuration."""

from xmppd.config.section import Section


class PEPSettings(Section, frozen=True):
    """``[pep]``: what accounts publish.

    Attributes:
        max_bytes_per_account: How large the items of all nodes of an account may be together; each
            counts 64 bytes beside its payload and its id.
    """

    max_bytes_per_account: int = 33_554_432


__all__ = ["PEPSettings"]
