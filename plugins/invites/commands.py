"""Commands on invitations: people give them for their own, whoever has the scope for any."""

from collections.abc import Callable
from dataclasses import dataclass

from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, DomainName, Duration, Flag, GroupName, Number
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.stanza import JID, Condition
from xmppd.stanza.date_time import date_time
from xmppd.stanza.jid import prepare_local
from xmppd.stanza.phrases import counted

from .invitation import Invitation
from .invitations import Invitations

SCOPE = "invitations:write"
MAX_LIFETIME_S = 366 * 86_400
MAX_USES = 1_000
MAX_GROUPS = 20

ID = Argument("id", 'the id that "invite list" shows')
CREATE = Description(
    "invite create",
    "create an invitation, with which someone can create an account",
    (
        Argument("--from", "who invites; you by default, if you are a user", AccountName(),
                 scope=SCOPE),
        Argument("--name", "the name that the account must have", scope=SCOPE),
        Argument("--domain", "the domain of the new account", DomainName(), scope=SCOPE),
        Argument(
            "--group", "a shared group that the account joins; may be repeated", GroupName(),
            MAX_GROUPS,
            scope=SCOPE,
        ),
        Argument("--uses", "how many people may use it; 1 by default", Number(1, MAX_USES)),
        Argument("--expires", "how long it is valid, such as 7d", Duration(MAX_LIFETIME_S)),
        Argument("--no-contact", "do not make the invited person a contact of the inviter", Flag()),
    ),
    effect="changes",
    answers="record",
    who="everybody",
    area="invitations",
)  # fmt: skip
LIST = Description(
    "invite list",
    "list invitations: all of them, or only your own if you may not see those of others",
    (
        Argument("--from", "only invitations by this account", AccountName()),
        Argument("--all", "also those that are no longer valid", Flag()),
    ),
    who="everybody",
    area="invitations",
)
SHOW = Description(
    "invite show", "show who has used an invitation", (ID,), who="everybody", area="invitations"
)
REVOKE = Description(
    "invite revoke",
    "revoke an invitation",
    (ID, DRY_RUN),
    effect="ends",
    who="everybody",
    area="invitations",
)
WHO = Description(
    "invite who",
    "show who invited the owner of an account",
    (Argument("account", "such as romeo@example.org", AccountName()),),
    area="invitations",
)


class NewInvitationRow(Row, frozen=True):
    """An invitation that was just made; nobody can tell its token later.

    Attributes:
        id: By which it is listed and revoked.
        uri: For a client.
        landing_url: For a browser; empty where the server has no page.
        expires: When its time is over.
    """

    id: str
    uri: str
    landing_url: str
    expires: str


class InvitationRow(Row, frozen=True):
    """An invitation, without its token."""

    id: str
    inviter: str
    for_account: str
    groups: list[str]
    contact: bool
    state: str
    used: int
    max_uses: int
    made: str
    expires: str


class GuestRow(Row, frozen=True):
    """Somebody who has come by an invitation."""

    account: str
    since: str


class InviterRow(Row, frozen=True):
    """The inviter of somebody."""

    account: str
    inviter: str
    invitation: str
    since: str


@dataclass(frozen=True)
class InviteCommands:
    """The commands on invitations.

    Attributes:
        invitations: All of them.
        has_group: Whether there is a shared group of a name.
        landing_url: The page of a token, at a domain; empty if there is none.
    """

    invitations: Invitations
    has_group: Callable[[str], bool]
    landing_url: Callable[[str, str], str]

    def commands(self) -> list[Command]:
        """All of them."""
        return [
            Command(CREATE, self.create, (NewInvitationRow,)),
            Command(LIST, self.show_all, (InvitationRow,)),
            Command(SHOW, self.show, (InvitationRow, GuestRow)),
            Command(REVOKE, self.revoke),
            Command(WHO, self.who, (InviterRow,)),
        ]

    async def create(self, context: CommandContext) -> Replies:
        """Make an invitation."""
        told, may = context.arguments, SCOPE in context.actor.scopes
        inviter = await self._inviter(context)
        settings = self.invitations.settings
        lifetime_s = told.number("expires", int(settings.lifetime_s))
        if not may and lifetime_s > settings.lifetime_s:
            most = counted(settings.lifetime_s / 86_400, "day")
            raise Refused(f"your invitations may be valid for at most {most}", argument="expires")
        for name in told.texts("group"):
            if not self.has_group(name):
                raise Refused(f"group {name} does not exist", Condition.ITEM_NOT_FOUND)
        domain = told.domains("domain")[0]
        if inviter is not None and not told.given("domain"):
            domain = inviter.domain
        made, token = await self.invitations.make(
            Invitation(
                id="",
                inviter="" if inviter is None else inviter.bare,
                domain=domain,
                name=_name(told.text("name")),
                groups=tuple(dict.fromkeys(told.texts("group"))),
                is_contact=inviter is not None and not told.flag("no_contact"),
                with_account=may or settings.with_account,
                max_uses=told.number("uses", 1),
                made=0.0,
                expires=self.invitations.now() + lifetime_s,
            ),
            is_limited=not may,
        )
        page = self.landing_url(made.domain, token)
        yield NewInvitationRow(made.id, made.uri(token), page, date_time(made.expires))

    async def show_all(self, context: CommandContext) -> Replies:
        """List invitations; those that hold, if nothing else is said."""
        whose = self._whose(context)
        if context.arguments.given("from"):
            asked = context.arguments.jid("from").bare
            if whose not in (None, asked):
                raise Refused("these invitations belong to someone else", Condition.FORBIDDEN)
            whose = asked
        async for each in self.invitations.all_of(whose):
            if context.arguments.flag("all") or each.state(self.invitations.now()) == "open":
                yield self._row(each)

    async def show(self, context: CommandContext) -> Replies:
        """Show an invitation, and those who have come by it."""
        invitation = await self._own(context)
        yield self._row(invitation)
        for account, since in await self.invitations.takers(invitation):
            yield GuestRow(account, date_time(since))

    async def revoke(self, context: CommandContext) -> Replies:
        """Revoke an invitation; who has come by it stays."""
        invitation = await self._own(context)
        state = invitation.state(self.invitations.now())
        if state != "open":
            raise Refused(f"invitation {invitation.id} is already {state}", Condition.CONFLICT)
        if context.dry_run:
            yield f"invitation {invitation.id} would be revoked"
            return
        await self.invitations.revoke(invitation.id)
        yield f"invitation {invitation.id} was revoked"

    async def who(self, context: CommandContext) -> Replies:
        """Say by whose invitation the owner of an account has come."""
        account = context.arguments.jid("account")
        found = await self.invitations.invited_by(account)
        if found is None:
            raise Refused(f"{account} was not invited", Condition.ITEM_NOT_FOUND)
        inviter, invitation, since = found
        yield InviterRow(account.bare, inviter, invitation, date_time(since))

    async def _inviter(self, context: CommandContext) -> JID | None:
        actor, told = context.actor, context.arguments
        inviter = told.jid("from") if told.given("from") else actor.jid and actor.jid.to_bare()
        if inviter is not None and not await self.invitations.accounts.store.exists(inviter.bare):
            raise Refused(f"{inviter} does not exist", Condition.ITEM_NOT_FOUND)
        return inviter

    async def _own(self, context: CommandContext) -> Invitation:
        """The invitation that is named, if it is the actor's, or the actor may see all."""
        found = await self.invitations.find(context.arguments.text("id"))
        whose = self._whose(context)
        if found is None or whose not in (None, found.inviter):
            raise Refused("the invitation does not exist", Condition.ITEM_NOT_FOUND, argument="id")
        return found

    def _whose(self, context: CommandContext) -> str | None:
        """Whose invitations the actor may see; None for all."""
        actor = context.actor
        may_see_all = {"invitations:read", SCOPE} & actor.scopes
        if may_see_all or actor.jid is None:
            return None
        return actor.jid.bare

    def _row(self, invitation: Invitation) -> InvitationRow:
        name, domain = invitation.name, invitation.domain
        return InvitationRow(
            id=invitation.id,
            inviter=invitation.inviter,
            for_account=JID.of(name, domain).bare if name else f"any at {domain}",
            groups=list(invitation.groups),
            contact=invitation.is_contact,
            state=invitation.state(self.invitations.now()),
            used=invitation.used,
            max_uses=invitation.max_uses,
            made=date_time(invitation.made),
            expires=date_time(invitation.expires),
        )


def _name(text: str) -> str:
    """A local part, prepared; empty for any."""
    try:
        return prepare_local(text) if text else ""
    except ValueError as error:
        raise Refused(f'"{text}" is not a valid name ({error})', argument="name") from error


__all__ = ["InviteCommands", "NewInvitationRow"]
