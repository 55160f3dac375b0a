"""Commands on rosters and shared groups."""

from collections.abc import AsyncGenerator
from dataclasses import replace

from xmppd.ctl.command import Argument, Arguments, Command, CommandContext, account, address
from xmppd.ctl.protocol import Refused, Reply
from xmppd.handler.presence_subscribe_handler import Subscribed
from xmppd.roster.contact_names import check_group_name, named
from xmppd.roster.roster import Roster
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.store.base import RosterItem, SharedGroup

_ACCOUNT = Argument("account", "whose roster")
_CONTACT = Argument("contact", "the contact's address")
_GROUP = Argument("group", "the shared group's name")


# --- rosters -----------------------------------------------------------------------------------


async def _show(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    roster = await _roster(context, account(context, arguments.text("account")))
    shared = context.server.shared_groups.items(roster.account.bare)
    for item in roster.shown():
        yield {
            "contact": item.jid,
            "name": item.name,
            "subscription": item.subscription,
            "ask": item.ask,
            "groups": list(item.groups),
            "shared": item.jid in shared,
        }


async def _add(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    roster = await _roster(context, account(context, arguments.text("account")))
    contact = address(arguments.text("contact")).to_bare()
    if contact.bare == roster.account.bare:
        raise Refused("nobody is a contact of themselves")
    theirs = await _partner(context, contact) if arguments.flag("mutual") else None
    rosters = context.server.roster_manager
    item = roster.items.get(contact.bare) or RosterItem(contact.bare)
    item = named(
        item,
        arguments.text("name", item.name),
        arguments.texts("group") if arguments.given("group") else item.groups,
        max_groups=context.server.config.roster.max_groups_per_item,
    )
    if theirs is None:
        await rosters.save(roster, item)
        yield f"{contact} is in the roster of {roster.account} (subscription {item.subscription})"
        return
    own = theirs.items.get(roster.account.bare) or RosterItem(roster.account.bare)
    for full, contact_of in ((roster, item), (theirs, own)):
        rosters.check_room(full, _both(contact_of))
    await rosters.save(roster, _both(item))
    await rosters.save(theirs, _both(own))
    _introduce(context, roster.account, contact)
    yield f"{roster.account} and {contact} see each other"


async def _remove(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    roster = await _roster(context, account(context, arguments.text("account")))
    contact = address(arguments.text("contact"))
    try:
        await context.server.presence_subscribe_handler.remove(roster.account, contact)
    except StanzaError as error:
        shared = error.condition is Condition.NOT_ACCEPTABLE
        why = "is brought by a shared group to" if shared else "is not in"
        raise Refused(f"{contact} {why} the roster of {roster.account}") from error
    yield f"{contact} was removed from the roster of {roster.account}"


async def _roster(context: CommandContext, owner: JID) -> Roster:
    if not await context.server.store.exists(owner.bare):
        raise Refused(f"there is no account {owner}")
    return await context.server.roster_manager.roster(owner)


async def _partner(context: CommandContext, contact: JID) -> Roster:
    """The roster of a contact that is to see the account too: it must be ours."""
    if contact.domain not in context.server.domains:
        raise Refused(f"{contact} is on another server, which has to agree: use a client")
    return await _roster(context, contact)


def _both(item: RosterItem) -> RosterItem:
    return replace(item, subscription="both", ask=False, pending_in=None, approved=False)


def _introduce(context: CommandContext, one: JID, other: JID) -> None:
    """Who sees each other now is told at once who is here (PS-8)."""
    for subscriber, contact in ((one, other), (other, one)):
        context.server.events.fire(Subscribed(subscriber, contact))
        context.server.presence_manager.send_presences(contact, subscriber)


# --- shared groups -----------------------------------------------------------------------------


async def _list_groups(
    context: CommandContext, arguments: Arguments
) -> AsyncGenerator[Reply, None]:
    for group in context.server.shared_groups.groups.values():
        yield {
            "group": group.name,
            "display": group.display_name,
            "visible_to": group.visible_to,
            "groups": list(group.groups),
            "members": list(group.members),
        }


async def _save_group(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    name = arguments.text("group")
    groups = context.server.shared_groups.groups
    group = groups.get(name) or SharedGroup(name, name)
    for text in (name, arguments.text("display", group.display_name)):
        check_group_name(text)
    also = tuple(dict.fromkeys(arguments.texts("also")))
    for other in also:
        if other not in groups:
            raise Refused(f'there is no group "{other}" whose members could see {name}')
    coming = {account(context, text).bare: None for text in arguments.texts("add")}
    going = {account(context, text).bare for text in arguments.texts("remove")}
    for member in coming:
        if not await context.server.store.exists(member):
            raise Refused(f"there is no account {member}")
    members = dict.fromkeys((*group.members, *coming))
    group = replace(
        group,
        display_name=arguments.text("display", group.display_name),
        visible_to=arguments.text("visible_to", group.visible_to),
        groups=also if arguments.given("also") else group.groups,
        members=tuple(member for member in members if member not in going),
    )
    await context.server.shared_group_changes.save(group)
    yield f"members of the group {name}: {len(group.members)}"


async def _delete_group(
    context: CommandContext, arguments: Arguments
) -> AsyncGenerator[Reply, None]:
    name = arguments.text("group")
    if name not in context.server.shared_groups.groups:
        raise Refused(f"there is no group {name}")
    await context.server.shared_group_changes.delete(name)
    yield f"the group {name} was deleted; its members keep their accounts"


COMMANDS = (
    Command("roster show", "show a roster", _show, (_ACCOUNT,)),
    Command(
        "roster add",
        "add a contact, or change its name and groups",
        _add,
        (
            _ACCOUNT,
            _CONTACT,
            Argument("--name", "what the contact is called"),
            Argument("--group", "a group it is in; may be given more than once", "texts"),
            Argument("--mutual", "have both see each other, without asking them", "flag"),
        ),
    ),
    Command("roster remove", "remove a contact", _remove, (_ACCOUNT, _CONTACT)),
    Command("group list", "list shared groups", _list_groups),
    Command(
        "group save",
        "make a shared group, or change one",
        _save_group,
        (
            _GROUP,
            Argument("--display", "what it is called in rosters"),
            Argument("--add", "an account that joins; may be given more than once", "texts"),
            Argument("--remove", "an account that leaves; may be given more than once", "texts"),
            Argument("--visible-to", "who sees it", choices=("members", "everybody")),
            Argument("--also", "a group whose members see it too; may be repeated", "texts"),
        ),
    ),
    Command("group delete", "delete a shared group", _delete_group, (_GROUP,)),
)
