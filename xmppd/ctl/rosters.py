"""Commands on rosters."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from xmppd.command.argument import MANY, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Address, Flag
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.users import ACCOUNT, ACCOUNTS, existing
from xmppd.handler.presence_subscribe_handler import PresenceSubscribeHandler
from xmppd.roster.contact_names import named
from xmppd.roster.roster import Roster
from xmppd.roster.roster_manager import Change, RosterManager
from xmppd.roster.subscription import mutual
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.store.accounts import AccountStore
from xmppd.store.rosters import RosterItem

CONTACT = Argument("contact", "the contact's address", Address())


class ContactRow(Row, frozen=True):
    """A contact of an account."""

    account: str
    contact: str
    name: str
    subscription: str
    ask: bool
    approved: bool
    groups: list[str]
    shared: bool


@dataclass(frozen=True)
class RosterCommands:
    """The commands that show rosters, and change them as their owners could."""

    store: AccountStore
    rosters: RosterManager
    subscriptions: PresenceSubscribeHandler

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def show(self, context: CommandContext) -> Replies:
        """Show a roster, with the contacts of shared groups."""
        for account in await existing(self.store.exists, context.arguments.jids("account")):
            roster = await self.rosters.roster(account)
            shared = self.rosters.shared_groups.items(account.bare)
            for item in roster.shown():
                yield _row(roster, item, shared)

    async def add(self, context: CommandContext) -> Replies:
        """Add a contact; one that exists gets another name and groups."""
        told = context.arguments
        roster = await self._roster(told.jid("account"))
        contact = told.jid("contact").to_bare()
        if contact.bare == roster.account.bare:
            raise Refused("an account cannot be its own contact")
        theirs = await self._partner(contact) if told.flag("mutual") else None

        def decide(item: RosterItem | None) -> Change:
            item = item or RosterItem(contact.bare)
            groups = told.texts("group") if told.given("group") else item.groups
            most = self.rosters.settings.max_groups_per_item
            item = named(item, told.text("name", item.name), groups, max_groups=most)
            return Change(item if theirs is None else mutual(item))

        if theirs is not None:
            own = theirs.items.get(roster.account.bare) or RosterItem(roster.account.bare)
            self.rosters.check_room(theirs, mutual(own))
        await self.rosters.change(roster, contact.bare, decide)
        if theirs is None:
            subscription = roster.items[contact.bare].subscription
            yield f"{contact} is in the roster of {roster.account} (subscription {subscription})"
            return
        await self.rosters.change(theirs, roster.account.bare, partial(_seeing, roster.account))
        await self.subscriptions.agreed(roster.account, contact)
        yield f"{roster.account} and {contact} see each other"

    async def remove(self, context: CommandContext) -> Replies:
        """Remove a contact; both sides are told."""
        roster = await self._roster(context.arguments.jid("account"))
        contact = context.arguments.jid("contact")
        try:
            await self.subscriptions.remove(roster.account, contact)
        except StanzaError as error:
            shared = error.condition is Condition.NOT_ACCEPTABLE
            why = "comes from a shared group, and stays in" if shared else "is not in"
            text = f"{contact} {why} the roster of {roster.account}"
            raise Refused(text, error.condition) from error
        yield f"{contact} was removed from the roster of {roster.account}"

    async def _roster(self, owner: JID) -> Roster:
        await existing(self.store.exists, [owner])
        return await self.rosters.roster(owner)

    async def _partner(self, contact: JID) -> Roster:
        """The roster of a contact that is to see the account too: it must be ours."""
        if not self.rosters.routing_table.is_local(contact):
            raise Refused(
                f"{contact} is on another server, which must agree: add the contact with a client"
            )
        return await self._roster(contact)


def _row(roster: Roster, item: RosterItem, shared: Mapping[str, object]) -> ContactRow:
    return ContactRow(
        account=roster.account.bare,
        contact=item.jid,
        name=item.name,
        subscription=item.subscription,
        ask=item.ask,
        approved=item.approved,
        groups=list(item.groups),
        shared=item.jid in shared,
    )


def _seeing(account: JID, item: RosterItem | None) -> Change:
    """Have an account as a contact; both see each other."""
    return Change(mutual(item or RosterItem(account.bare)))


COMMANDS: tuple[Declared[RosterCommands], ...] = (
    Declared(
        Description(
            "roster show",
            "show rosters",
            (ACCOUNTS,),
            needs="store",
            area="rosters",
            empty="the roster has no contacts",
        ),
        RosterCommands.show,
        (ContactRow,),
    ),
    Declared(
        Description(
            "roster add",
            "add a contact, or change its name and groups",
            (
                ACCOUNT,
                CONTACT,
                Argument("--name", "the contact's name in the roster"),
                Argument("--group", "a group for the contact; may be repeated", most=MANY),
                Argument(
                    "--mutual", "let both see each other's presence, without asking them", Flag()
                ),
            ),
            "changes",
            needs="store",
            area="rosters",
        ),
        RosterCommands.add,
    ),
    Declared(
        Description(
            "roster remove",
            "remove a contact",
            (ACCOUNT, CONTACT),
            "changes",
            needs="store",
            area="rosters",
        ),
        RosterCommands.remove,
    ),
)
