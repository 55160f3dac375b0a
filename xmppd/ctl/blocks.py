"""Commands on block lists and privacy lists of accounts."""

from dataclasses import dataclass

from xmppd.command.argument import DRY_RUN, MANY, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Address
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.users import ACCOUNT, existing
from xmppd.presence.privacy_changes import PrivacyChanges, active_list
from xmppd.privacy.privacy_list import NAMED, PrivacyList, Rule
from xmppd.stanza import JID, Condition
from xmppd.stanza.phrases import counted
from xmppd.store.accounts import AccountStore

JIDS = Argument(
    "jid", "an address of a person, session or domain; may be repeated", Address(), MANY
)
NAME = Argument("name", 'the list\'s name, as "privacy list" shows it')


class BlockedRow(Row, frozen=True):
    """An address that an account has blocked."""

    jid: str


class PrivacyListRow(Row, frozen=True):
    """A privacy list.

    Attributes:
        name: Its name.
        default: Whether it holds for sessions that use no other one, and while nobody is online.
        used_by: The resources of the sessions that use it in place of the default one.
        rules: Its rules, in their order: the first one that fits an address decides.
    """

    name: str
    default: bool
    used_by: list[str]
    rules: list[str]


@dataclass(frozen=True)
class BlockCommands:
    """The commands that show what an account does not want to hear, and change it as its owner
    could.
    """

    store: AccountStore
    changes: PrivacyChanges

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def blocked(self, context: CommandContext) -> Replies:
        """List the addresses that an account has blocked."""
        account = await self._account(context)
        for jid in (await self.changes.lists.lists(account)).blocked:
            yield BlockedRow(jid.full)

    async def block(self, context: CommandContext) -> Replies:
        """Block addresses; the account's clients are told."""
        account, jids = await self._account(context), context.arguments.jids("jid")
        if account in jids:
            raise Refused("an account cannot block itself", Condition.BAD_REQUEST, argument="jid")
        await self.changes.block(account, jids, by_client=False)
        for jid in jids:
            yield f"{account} blocks {jid}"

    async def unblock(self, context: CommandContext) -> Replies:
        """Unblock addresses, all of which are blocked."""
        account, jids = await self._account(context), context.arguments.jids("jid")
        blocked = (await self.changes.lists.lists(account)).blocked
        for jid in jids:
            if jid not in blocked:
                raise Refused(f"{account} does not block {jid}", Condition.ITEM_NOT_FOUND)
        await self.changes.unblock(account, jids, by_client=False)
        for jid in jids:
            yield f"{account} does not block {jid} any more"

    async def privacy_lists(self, context: CommandContext) -> Replies:
        """List privacy lists with their rules, and the sessions that use them."""
        account = await self._account(context)
        known = await self.changes.lists.lists(account)
        used: dict[str | None, list[str]] = {}
        for session in self.changes.routing_table.sessions(account.bare):
            used.setdefault(active_list(session), []).append(session.jid.resource or "")
        for name, each in known.lists.items():
            yield PrivacyListRow(
                name=name,
                default=name == known.default_name,
                used_by=sorted(used.get(name, ())),
                rules=list(map(_said, each.rules)),
            )

    async def delete(self, context: CommandContext) -> Replies:
        """Delete a privacy list, whoever uses it."""
        account = await self._account(context)
        name = context.arguments.text("name")
        found = await self._list(account, name)
        rules = counted(len(found.rules), "rule")
        if context.dry_run:
            yield f"the list {name} of {account}, which has {rules}, would be deleted"
            return
        await self.changes.remove(account, name, by=None)
        yield f"the list {name} of {account}, which had {rules}, was deleted"

    async def default(self, context: CommandContext) -> Replies:
        """Make a list the default one, or have none."""
        account = await self._account(context)
        name = context.arguments.text("name")
        if not name:
            await self.changes.set_default(account, None, by=None)
            yield f"{account} has no default privacy list"
            return
        await self._list(account, name)
        await self.changes.set_default(account, name, by=None)
        yield f"the default privacy list of {account} is {name}"

    async def _account(self, context: CommandContext) -> JID:
        (account,) = await existing(self.store.exists, [context.arguments.jid("account")])
        return account

    async def _list(self, account: JID, name: str) -> PrivacyList:
        known = await self.changes.lists.lists(account)
        if name not in known.lists:
            raise Refused(
                f"{account} has no list {name}", Condition.ITEM_NOT_FOUND, argument="name"
            )
        return known.lists[name]


def _said(rule: Rule) -> str:
    """A rule in words."""
    whom = f"{rule.type} {rule.value}" if rule.type else "everybody"
    what = ", ".join(kind for kind in NAMED if kind in rule.kinds) or "everything"
    return f"{'allow' if rule.allow else 'deny'} {whom}: {what}"


COMMANDS: tuple[Declared[BlockCommands], ...] = (
    Declared(
        Description(
            "block list",
            "list the addresses that an account has blocked",
            (ACCOUNT,),
            needs="store",
            area="rosters",
            empty="no address is blocked",
        ),
        BlockCommands.blocked,
        (BlockedRow,),
    ),
    Declared(
        Description(
            "block add",
            "block addresses for an account, as its owner could",
            (ACCOUNT, JIDS),
            "changes",
            needs="store",
            area="rosters",
        ),
        BlockCommands.block,
    ),
    Declared(
        Description(
            "block remove",
            "unblock addresses for an account",
            (ACCOUNT, JIDS),
            "changes",
            needs="store",
            area="rosters",
        ),
        BlockCommands.unblock,
    ),
    Declared(
        Description(
            "privacy list",
            "list the privacy lists of an account, with their rules",
            (ACCOUNT,),
            needs="store",
            area="rosters",
            empty="the account has no privacy list",
        ),
        BlockCommands.privacy_lists,
        (PrivacyListRow,),
    ),
    Declared(
        Description(
            "privacy default",
            "choose the default privacy list of an account",
            (ACCOUNT, Argument("--name", "the list's name; without it, no list is the default")),
            "changes",
            needs="store",
            area="rosters",
        ),
        BlockCommands.default,
    ),
    Declared(
        Description(
            "privacy delete",
            "delete a privacy list of an account, also while its sessions use it",
            (ACCOUNT, NAME, DRY_RUN),
            "ends",
            needs="store",
            area="rosters",
        ),
        BlockCommands.delete,
    ),
)
