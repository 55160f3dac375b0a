"""The table ``[account]`` of the configuration."""

from xmppd.config.section import Section


class AccountPageSettings(Section, frozen=True):
    """``[account]``: what people do with their accounts by a browser.

    Attributes:
        delete_after_s: The time between asking for an account's end and that, in which it can be
            taken back.
        reset_s: The time for which the link for a new password holds.
        register: Whether people may make an account by a browser as well, where
            ``registration.open`` lets clients.
    """

    delete_after_s: float = 604_800.0
    reset_s: float = 86_400.0
    register: bool = False


__all__ = ["AccountPageSettings"]
