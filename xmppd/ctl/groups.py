"""Commands on shared groups."""

from dataclasses import dataclass, replace

from xmppd.command.argument import DRY_RUN, MANY, Argument, Arguments
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, Choice, GroupName
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.users import ACCOUNT, existing
from xmppd.presence.shared_group_changes import SharedGroupChanges
from xmppd.roster.contact_names import check_group_name
from xmppd.stanza import Condition
from xmppd.stanza.phrases import counted
from xmppd.store.accounts import AccountStore
from xmppd.store.shared_groups import SharedGroup

GROUP = Argument("group", "the shared group's name", GroupName())


class GroupRow(Row, frozen=True):
    """A shared group."""

    group: str
    display: str
    visible_to: str
    groups: list[str]
    members: list[str]


@dataclass(frozen=True)
class GroupCommands:
    """The commands that show shared groups, and change them."""

    store: AccountStore
    changes: SharedGroupChanges

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List them with their members: all, or those of which an account is one."""
        bares = {account.bare for account in context.arguments.jids("account")}
        for group in self.changes.groups.groups.values():
            if bares.difference(group.members):
                continue
            yield GroupRow(
                group=group.name,
                display=group.display_name,
                visible_to=group.visible_to,
                groups=list(group.groups),
                members=list(group.members),
            )

    async def save(self, context: CommandContext) -> Replies:
        """Save a group; values that are not given stay as they are."""
        told = context.arguments
        name = told.text("group")
        groups = self.changes.groups.groups
        group = groups.get(name) or SharedGroup(name, name)
        for text in (name, told.text("display", group.display_name)):
            check_group_name(text)
        also = tuple(dict.fromkeys(told.texts("also")))
        for other in also:
            if other not in groups:
                raise Refused(
                    f'group "{other}", whose members are to see {name}, does not exist',
                    Condition.ITEM_NOT_FOUND,
                )
        await existing(self.store.exists, told.jids("add"))
        group = replace(
            group,
            display_name=told.text("display", group.display_name),
            visible_to=told.text("visible_to", group.visible_to),
            groups=also if told.given("also") else group.groups,
            members=_members(group, told),
        )
        await self.changes.save(group)
        yield f"group {name} has {counted(len(group.members), 'member')}"

    async def join(self, context: CommandContext) -> Replies:
        """Make an account a member of a group."""
        (account,) = await existing(self.store.exists, [context.arguments.jid("account")])
        group = self._found(context.arguments.text("group"))
        if account.bare in group.members:
            raise Refused(f"{account} is already in the group {group.name}", Condition.CONFLICT)
        await self.changes.save(replace(group, members=(*group.members, account.bare)))
        yield f"{account} is in the group {group.name}"

    async def leave(self, context: CommandContext) -> Replies:
        """Take an account out of a group; it may be gone."""
        account = context.arguments.jid("account").bare
        group = self._found(context.arguments.text("group"))
        if account not in group.members:
            raise Refused(f"{account} is not in the group {group.name}", Condition.ITEM_NOT_FOUND)
        members = tuple(member for member in group.members if member != account)
        await self.changes.save(replace(group, members=members))
        yield f"{account} is not in the group {group.name} any more"

    def _found(self, name: str) -> SharedGroup:
        """The group of a name.

        Raises:
            Refused: There is none.
        """
        found = self.changes.groups.groups.get(name)
        if found is None:
            raise Refused(
                f"group {name} does not exist", Condition.ITEM_NOT_FOUND, argument="group"
            )
        return found

    async def delete(self, context: CommandContext) -> Replies:
        """Delete a group; its members keep their accounts."""
        name = self._found(context.arguments.text("group")).name
        if context.dry_run:
            yield f"group {name} would be deleted; its members keep their accounts"
            return
        await self.changes.delete(name)
        yield f"group {name} was deleted; its members keep their accounts"


def _members(group: SharedGroup, told: Arguments) -> tuple[str, ...]:
    going = {jid.bare for jid in told.jids("remove")}
    members = dict.fromkeys((*group.members, *(jid.bare for jid in told.jids("add"))))
    return tuple(member for member in members if member not in going)


COMMANDS: tuple[Declared[GroupCommands], ...] = (
    Declared(
        Description(
            "group list",
            "list shared groups",
            (Argument("--account", "only groups that this account is in", AccountName()),),
            needs="store",
            area="rosters",
            empty="no shared group was found",
        ),
        GroupCommands.list_all,
        (GroupRow,),
    ),
    Declared(
        Description(
            "group save",
            "create or change a shared group",
            (
                GROUP,
                Argument("--display", "the group's name in rosters"),
                Argument(
                    "--add",
                    "an account to add; may be repeated",
                    AccountName(),
                    MANY,
                ),
                Argument(
                    "--remove",
                    "an account to remove; may be repeated",
                    AccountName(),
                    MANY,
                ),
                Argument("--visible-to", "who sees the group", Choice(("members", "everybody"))),
                Argument(
                    "--also",
                    "another group whose members also see it; may be repeated",
                    GroupName(),
                    MANY,
                ),
            ),
            "changes",
            needs="store",
            area="rosters",
        ),
        GroupCommands.save,
    ),
    Declared(
        Description(
            "group join",
            "add an account to a shared group",
            (ACCOUNT, GROUP),
            "changes",
            needs="store",
            area="rosters",
        ),
        GroupCommands.join,
    ),
    Declared(
        Description(
            "group leave",
            "remove an account from a shared group",
            (ACCOUNT, GROUP),
            "changes",
            needs="store",
            area="rosters",
        ),
        GroupCommands.leave,
    ),
    Declared(
        Description(
            "group delete",
            "delete a shared group",
            (GROUP, DRY_RUN),
            "ends",
            needs="store",
            area="rosters",
        ),
        GroupCommands.delete,
    ),
)
