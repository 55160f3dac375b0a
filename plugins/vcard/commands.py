"""Commands on the cards of accounts."""

from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, Choice
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.stanza import JID, Condition, Tree
from xmppd.stanza.names import qname
from xmppd.stanza.phrases import listed
from xmppd.stanza.xml import find_unwritable

from .cards import NS, PHOTO, Cards

MAX_VALUE_LENGTH = 1_023
"""Of what a command writes into a card, in characters."""

FIELDS: Mapping[str, tuple[str, str]] = {
    "name": ("FN", "the full name"),
    "nickname": ("NICKNAME", "the nickname"),
    "email": ("EMAIL/USERID", "the e-mail address, in place of all others"),
    "phone": ("TEL/NUMBER", "the telephone number, in place of all others"),
    "organization": ("ORG/ORGNAME", "the organization"),
    "title": ("TITLE", "the title, such as of a post"),
    "url": ("URL", "the address of a web page"),
    "birthday": ("BDAY", "the birthday, such as 1597-01-30"),
    "note": ("DESC", "a note"),
}
"""What of a card commands show and change, each with its place there."""

_PHOTO = "photo"
REMOVABLE = (*FIELDS, _PHOTO)

ACCOUNT = Argument("account", "such as romeo@example.org", AccountName())
SHOW = Description(
    "vcard show",
    "show the vCard of an account: what others can read about its owner",
    (ACCOUNT,),
    who="owner",
    answers="record",
    area="accounts",
    empty="the account has no vCard",
)
SET = Description(
    "vcard set",
    "change the vCard of an account; what is not named stays as it is",
    (
        ACCOUNT,
        *(Argument(f"--{key}", what) for key, (_, what) in FIELDS.items()),
        Argument(
            "--remove", "something to remove; may be repeated", Choice(REMOVABLE), len(REMOVABLE)
        ),
    ),
    effect="changes",
    who="owner",
    area="accounts",
)
DELETE = Description(
    "vcard delete",
    "delete the vCard of an account, with its photo",
    (ACCOUNT, DRY_RUN),
    effect="ends",
    who="owner",
    area="accounts",
)


class VCardRow(Row, frozen=True):
    """What the card of an account says.

    Attributes:
        email: All e-mail addresses.
        phone: All telephone numbers.
        photo_type: The media type of its photo; empty if it has none, or an address in its place.
        photo_bytes: The size of the photo.
    """

    account: str
    name: str
    nickname: str
    email: list[str]
    phone: list[str]
    organization: str
    title: str
    url: str
    birthday: str
    note: str
    photo_type: str
    photo_bytes: int


@dataclass(frozen=True)
class VCardCommands:
    """The commands.

    Attributes:
        cards: All there are.
        exists: Whether there is an account of a bare JID.
    """

    cards: Cards
    exists: Callable[[str], Awaitable[bool]]

    def commands(self) -> list[Command]:
        """All of them."""
        return [
            Command(SHOW, self.show, (VCardRow,)),
            Command(SET, self.set),
            Command(DELETE, self.delete),
        ]

    async def show(self, context: CommandContext) -> Replies:
        """Show a card as its owner sees it."""
        account = await self._account(context)
        card = await self.cards.shown(account, account)
        if card is None:
            return
        texts = {key: _texts(card, path) for key, (path, _) in FIELDS.items()}
        first = {key: next(iter(found), "") for key, found in texts.items()}
        photo = card.find(PHOTO)
        kind, size_bytes = ("", 0) if photo is None else _photo(photo)
        yield VCardRow(
            account=account.bare,
            name=first["name"],
            nickname=first["nickname"],
            email=texts["email"],
            phone=texts["phone"],
            organization=first["organization"],
            title=first["title"],
            url=first["url"],
            birthday=first["birthday"],
            note=first["note"],
            photo_type=kind,
            photo_bytes=size_bytes,
        )

    async def set(self, context: CommandContext) -> Replies:
        """Change some fields of a card; one that there is not is made."""
        account, told = await self._account(context), context.arguments
        wanted = {key: told.text(key).strip() for key in FIELDS if told.given(key)}
        removed = list(dict.fromkeys(told.texts("remove")))
        both = [key for key in removed if key in wanted]
        if both:
            raise _wrong("remove", f"{listed(both)} cannot be both changed and removed")
        if not (wanted or removed):
            raise _wrong("name", "nothing is to be changed: name what")
        for key, value in wanted.items():
            _check(key, value)
        card = await self.cards.shown(account, account)
        if card is None:
            card = Tree(qname(NS, "vCard"))
        for key, value in wanted.items():
            _put(card, FIELDS[key][0], value)
        for key in removed:
            _remove(card, "PHOTO" if key == _PHOTO else FIELDS[key][0])
        await self.cards.keep(account, card)
        yield f"the vCard of {account} was changed"

    async def delete(self, context: CommandContext) -> Replies:
        """Delete a card."""
        account = await self._account(context)
        if await self.cards.shown(account, account) is None:
            raise Refused(f"{account} has no vCard", Condition.ITEM_NOT_FOUND)
        if context.dry_run:
            yield f"the vCard of {account} would be deleted, with its photo"
            return
        await self.cards.keep(account, Tree(qname(NS, "vCard")))
        yield f"the vCard of {account} was deleted, with its photo"
        if await self.cards.shown(account, account) is not None:
            yield "the account also publishes a card of another kind (vCard4), which stays"

    async def _account(self, context: CommandContext) -> JID:
        account = context.arguments.jid("account")
        if not await self.exists(account.bare):
            raise Refused(f"{account} does not exist", Condition.ITEM_NOT_FOUND)
        return account


def _wrong(key: str, why: str) -> Refused:
    return Refused(why, Condition.BAD_REQUEST, argument=key)


def _check(key: str, value: str) -> None:
    """Refuse what cannot stand in a card.

    Raises:
        Refused: It is empty, too long, or cannot be written in XML.
    """
    if not value:
        raise _wrong(key, f"{key} is empty; remove it instead")
    if len(value) > MAX_VALUE_LENGTH:
        raise _wrong(key, f"{key} may have at most {MAX_VALUE_LENGTH} characters")
    if find_unwritable(value):
        raise _wrong(key, f"{key} has characters that XML does not allow")


def _texts(card: Tree, path: str) -> list[str]:
    """The texts at a place of a card."""
    found = card.iterfind("/".join(qname(NS, step) for step in path.split("/")))
    return [text for each in found if (text := (each.text or "").strip())]


def _photo(photo: Tree) -> tuple[str, int]:
    """The type of a photo, and its size in bytes."""
    data = "".join((photo.findtext(qname(NS, "BINVAL")) or "").split())
    try:
        size_bytes = len(b64decode(data))
    except ValueError:
        size_bytes = 0
    kind = (photo.findtext(qname(NS, "TYPE")) or "").strip()
    return (kind or "unknown") if size_bytes else "", size_bytes


def _remove(card: Tree, path: str) -> None:
    """Take out all that is at a place of a card, with what it stands in."""
    for each in card.findall(qname(NS, path.partition("/")[0])):
        card.remove(each)


def _put(card: Tree, path: str, value: str) -> None:
    """Write a text at a place of a card, in place of all that is there."""
    _remove(card, path)
    inside = card
    for step in path.split("/"):
        made = Tree(qname(NS, step))
        inside.append(made)
        inside = made
    inside.text = value


__all__ = ["FIELDS", "VCardCommands", "VCardRow"]
