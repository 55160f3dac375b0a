"""A house in which people invite others."""

from collections.abc import Mapping, Sequence
from typing import cast

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.asking import ask, condition
from xmppd.command.command_context import SHELL, Actor
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply
from xmppd.config.scopes import EVERYTHING, ROLES
from xmppd.stanza import JID, Condition, Tree
from xmppd.testing.client import Client, done
from xmppd.testing.house import House, house_config
from xmppd.testing.network import Home
from xmppd_plugins.invites.commands import NewInvitationRow

ROMEO, JULIET, NURSE = "romeo@montague.lit", "juliet@montague.lit", "nurse@montague.lit"
PASSWORD = "wherefore art thou"
COMMANDS = "http://jabber.org/protocol/commands"
DATA = "{jabber:x:data}"


def actor(account: str, role: str = "user") -> Actor:
    """A person at a client."""
    return Actor(JID.parse(f"{account}/1"), ROLES[role])


ADMIN = Actor(JID.parse("nurse@montague.lit/1"), EVERYTHING)


def give(house: Home, command: str, actor: Actor = SHELL, /, **arguments: object) -> list[Reply]:
    """The answer of a command on invitations."""

    async def run() -> list[Reply]:
        table = house.server.commands
        asked = table.asked(f"invite {command}", arguments, actor)
        return [reply async for reply in table.replies(*asked)]

    return done(run())


def token_of(made: NewInvitationRow) -> str:
    """The token of a new invitation."""
    return made.uri.partition("preauth=")[2].partition(";")[0]


def preauth(client: Client, token: str) -> str:
    """What a client is told that shows a token."""
    answer = ask(client, "set", f"<preauth xmlns='urn:xmpp:pars:0' token='{token}'/>")
    return condition(answer)


def register(client: Client, name: str, password: str = PASSWORD) -> str:
    """What a client is told that registers."""
    fields = f"<username>{name}</username><password>{password}</password>"
    answer = ask(client, "set", f"<query xmlns='jabber:iq:register'>{fields}</query>")
    return condition(answer)


def stranger(house: House, address: str = "192.0.2.1") -> Client:
    """Somebody who has opened a stream, and has no account."""
    client = house.unauthenticated(address)
    client.open("montague.lit")
    client.raw()
    return client


class InviteCase(SynchronousTestCase):
    """Romeo and the nurse are here; registration is closed."""

    def setUp(self) -> None:
        self.house = self.furnish()

    def furnish(self, **tables: Mapping[str, object] | Sequence[Mapping[str, object]]) -> House:
        """A house with these settings."""
        config = replace(house_config("montague.lit", **tables), admins=(NURSE,))
        plugins = ("disco", "adhoc_commands", "invites")
        return House(config=config, plugins=plugins, romeo={}, nurse={})

    def give(self, command: str, actor: Actor = SHELL, /, **arguments: object) -> list[Reply]:
        """The answer of a command."""
        return give(self.house, command, actor, **arguments)

    def invite(self, actor: Actor = SHELL, /, **arguments: object) -> NewInvitationRow:
        """A new invitation."""
        (made,) = self.give("create", actor, **arguments)
        return cast(NewInvitationRow, made)

    def invited(self, **arguments: object) -> str:
        """The token of a new invitation of Romeo's."""
        return token_of(self.invite(actor(ROMEO), **arguments))

    def refused(self, command: str, actor: Actor = SHELL, /, **arguments: object) -> Condition:
        """Why a command is refused."""
        error: Refused = self.assertRaises(Refused, self.give, command, actor, **arguments)
        return error.condition

    def exists(self, account: str) -> bool:
        """Whether there is such an account."""
        return done(self.house.server.store.accounts.exists(account))

    def contacts(self, account: str) -> dict[str, str]:
        """The subscriptions in a roster."""
        roster = done(self.house.server.roster_manager.roster(JID.parse(account)))
        return {item.jid: item.subscription for item in roster.items.values()}


def fields(answer: Tree) -> dict[str, str]:
    """The values of the form in an answer."""
    return {
        field.get("var", ""): field.findtext(f"{DATA}value") or ""
        for field in answer.iter(f"{DATA}field")
    }
