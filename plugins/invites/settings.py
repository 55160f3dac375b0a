"""The table ``[invites]`` of the configuration."""

from typing import Annotated

from xmppd.config.section import Mark, Section


class InviteSettings(Section, frozen=True):
    """``[invites]``: whom people may invite.

    Attributes:
        per_account_per_week: Those whom an account may invite in seven days; 0: only somebody with
            the scope ``invitations:write`` invites.
        with_account: Whether those whom people invite may make an account here.
        lifetime_s: The time for which an invitation holds, if nothing is said; people cannot say
            more.
        kept_s: The time for which an invitation that is over is still listed.
    """

    per_account_per_week: Annotated[int, Mark.MAY_BE_ZERO] = 5
    with_account: bool = True
    lifetime_s: float = 604_800.0
    kept_s: Annotated[float, Mark.MAY_BE_ZERO] = 2_592_000.0


__all__ = ["InviteSettings"]
