"""The forms of :xep:`0401` over ``invite create``."""

from collections.abc import Mapping

from xmppd.command.command_form import CommandForm, Filled
from xmppd.command.reply import Reply
from xmppd.stanza import Element
from xmppd.stanza.form import Field, result

from .commands import CREATE, NewInvitationRow

NS = "urn:xmpp:invite"
INVITATION = f"{NS}#invitation"


def _answer(filled: Filled, replies: list[Reply]) -> Element:
    (made,) = (reply for reply in replies if isinstance(reply, NewInvitationRow))
    shown = {"uri": made.uri, "landing-url": made.landing_url, "expire": made.expires}
    fields = (Field(var, values=(value,)) for var, value in shown.items() if value)
    return result(INVITATION, *fields)


def _nothing(filled: Filled) -> Mapping[str, object]:
    return {}


def _account(filled: Filled) -> Mapping[str, object]:
    """Whoever comes becomes a contact only if that is said."""
    name = "".join(filled.values.get("username", []))
    contact = filled.values.get("roster-subscription", []) in (["1"], ["true"])
    told: dict[str, object] = {"domain": filled.domain, "no_contact": not contact}
    return {**told, "name": name} if name else told


INVITE = CommandForm(
    f"{NS}#invite", "Invite someone", CREATE.name, INVITATION, _nothing, answer=_answer
)
CREATE_ACCOUNT = CommandForm(
    f"{NS}#create-account",
    "Invite someone to create an account",
    CREATE.name,
    INVITATION,
    _account,
    (
        Field("username", "The name that the account must have"),
        Field("roster-subscription", "The invited person becomes your contact", "boolean"),
    ),
    _answer,
    admins_only=True,
)

__all__ = ["CREATE_ACCOUNT", "INVITE"]
