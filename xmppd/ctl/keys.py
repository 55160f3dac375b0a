"""Commands on API keys."""

import re
from dataclasses import dataclass

from xmppd.auth.api_keys import APIKeys
from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.command_table import lacking
from xmppd.command.kinds import Choice, Duration
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.config.scopes import OWN, ROLES, SCOPES
from xmppd.ctl.declared import Declared
from xmppd.ctl.times import iso
from xmppd.stanza import Condition
from xmppd.store.api_keys import APIKey, KeyRefused

MAX_LIFETIME_S = 3_650 * 86_400
DEFAULT_LIFETIME_S = 365 * 86_400
NO_SUCH_KEY = "key {name} does not exist"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

NAME = Argument("name", "the key's name, such as deploy")


class KeyMade(Row, frozen=True):
    """A key that was made; nobody can be shown it again."""

    name: str
    key: str
    scopes: list[str]
    expires: str | None


class APIKeyRow(Row, frozen=True):
    """A key, in a list; its scopes are those that it has just now."""

    least = ("made_by", "made")

    name: str
    scopes: list[str]
    made_by: str
    made: str | None
    expires: str | None
    used: str | None


@dataclass(frozen=True)
class KeyCommands:
    """The commands that make API keys, list and revoke them."""

    keys: APIKeys

    def commands(self) -> list[Command]:
        """All of them."""
        return [declared.by(self) for declared in COMMANDS]

    async def add(self, context: CommandContext) -> Replies:
        """Make a key, with no more scopes than its maker has."""
        told = context.arguments
        name = told.text("name")
        if not _NAME.fullmatch(name):
            raise Refused(
                "a key's name may have up to 64 lowercase letters, digits, dots and hyphens",
                Condition.BAD_REQUEST, argument="name",
            )  # fmt: skip
        scopes = {*told.texts("scope"), *ROLES.get(told.text("role"), ())} - {OWN}
        if not scopes:
            raise Refused(
                "a key needs at least one --scope, or a --role", Condition.BAD_REQUEST,
                argument="scope",
            )  # fmt: skip
        for scope in sorted(scopes - context.actor.scopes):
            raise lacking(scope, "role" if told.given("role") else "scope")
        lifetime_s = told.number("expires", DEFAULT_LIFETIME_S)
        try:
            key, text = await self.keys.make(name, scopes, lifetime_s, context.actor)
        except KeyRefused as error:
            raise Refused(str(error).rstrip("."), Condition.CONFLICT) from error
        yield KeyMade(key.name, text, list(key.scopes), iso(key.expires))
        yield "save this key now: it cannot be shown again"

    async def list_all(self, context: CommandContext) -> Replies:
        """List them, without what they prove themselves by."""
        for key in await self.keys.store.api_keys():
            yield await self._row(key)

    async def _row(self, key: APIKey) -> APIKeyRow:
        return APIKeyRow(
            name=key.name,
            scopes=sorted(await self.keys.scopes_of(key)),
            made_by=key.made_by,
            made=iso(key.made),
            expires=iso(key.expires),
            used=iso(key.used),
        )

    async def revoke(self, context: CommandContext) -> Replies:
        """Forget a key."""
        name = context.arguments.text("name")
        if context.dry_run:
            if name not in {key.name for key in await self.keys.store.api_keys()}:
                raise Refused(NO_SUCH_KEY.format(name=name), Condition.ITEM_NOT_FOUND)
            yield f"key {name} would be revoked"
            return
        if not await self.keys.store.revoke_api_key(name):
            raise Refused(NO_SUCH_KEY.format(name=name), Condition.ITEM_NOT_FOUND)
        yield f"key {name} was revoked"


COMMANDS: tuple[Declared[KeyCommands], ...] = (
    Declared(
        Description(
            "key add",
            "create a key with which a program can run commands",
            (
                NAME,
                Argument("--scope", "a scope that the key has", Choice(SCOPES), len(SCOPES)),
                Argument("--role", "a role that the key has", Choice(("operator", "admin"))),
                Argument(
                    "--expires",
                    "when the key expires, such as 90d; a year by default",
                    Duration(MAX_LIFETIME_S),
                ),
            ),
            "changes",
            needs="store",
            answers="record",
            area="keys",
        ),
        KeyCommands.add,
        (KeyMade,),
    ),
    Declared(
        Description(
            "key list",
            "list the keys that programs use",
            needs="store",
            area="keys",
            empty="no key exists",
        ),
        KeyCommands.list_all,
        (APIKeyRow,),
    ),
    Declared(
        Description(
            "key revoke", "revoke a key", (NAME, DRY_RUN), "ends", needs="store", area="keys"
        ),
        KeyCommands.revoke,
    ),
)
