"""CommandTable: the place of commands, for all ways by which they are given."""

import re
from collections.abc import Callable, Mapping
from contextlib import aclosing

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from xmppd.command.argument import DRY_RUN, Arguments
from xmppd.command.audit import Audit, shown
from xmppd.command.command import OWNED, Command, Description
from xmppd.command.command_context import Actor, CommandContext
from xmppd.command.kinds import FileName, Surface
from xmppd.command.merged import merged
from xmppd.command.other_nodes import NO_OTHERS, Incomplete, OtherNodes, Unanswered
from xmppd.command.refused import Refused, failed
from xmppd.command.reply import Replies, RowOfNode
from xmppd.command.roles import Roles
from xmppd.config.scopes import AREAS, OWN
from xmppd.events import OWNER, Undo
from xmppd.stanza import JID, Condition, StanzaError

_WORDS = re.compile(r"[a-z][a-z0-9_-]*( [a-z][a-z0-9_-]*){0,2}")
_ARGUMENT = re.compile(r"[a-z][a-z0-9_]*|--[a-z][a-z0-9-]*")
SHELLS_OWN = ("columns", "config", "data", "help", "json", "stdin", "version", "wide")
"""Names that arguments cannot have, since the command line has them already."""

_ACCOUNTS = "accounts:write"

_log = Logger()


class CommandTable:
    """The commands of a server.

    It decides which commands an actor may give; the way by which they come only names the actor.

    Args:
        domains: Ours.
        roles: Who may do what.

    Attributes:
        commands: By name.
        descriptions: Theirs, by name.
        others: The other nodes of the service.
        audit: Has changes written down; None where there is no store for that.
        address_of: The IP address of a client, empty if it is not here.
        untold: Says whether a line about something may be logged, as how many were left out before;
            None if it is left out as well.
    """

    others: OtherNodes = NO_OTHERS
    audit: Audit | None = None

    def __init__(self, domains: tuple[str, ...], roles: Roles) -> None:
        self.domains = domains
        self.roles = roles
        self.address_of: Callable[[JID], str] = lambda jid: ""
        self.untold: Callable[[str], int | None] = lambda what: 0
        self.commands: dict[str, Command] = {}
        self.descriptions: dict[str, Description] = {}
        self._owners: dict[str, str] = {}

    def put(self, command: Command, owner: str) -> Undo:
        """Add a command; returns a function that takes it out again.

        Args:
            command: Its name must be free.
            owner: A plugin's name, or ``xmppd``.

        Raises:
            ValueError: Its name is taken, or invalid; it has arguments that no command line can
                have; it is for owners of nothing, of an unknown area, or ends something without
                a dry run.
        """
        name = command.name
        if not _WORDS.fullmatch(name):
            raise ValueError(f"{name!r} is not a command name: use one to three lowercase words")
        for known in self.commands:
            if f"{known} ".startswith(f"{name} ") or f"{name} ".startswith(f"{known} "):
                raise ValueError(f"{known} already exists")
        _check_arguments(command.about)
        if command.about.who == "owner" and not command.about.owned:
            raise ValueError(f'{name} is for account owners, but has no argument "account"')
        self.commands[name] = command
        self.descriptions[name] = command.about
        self._owners[name] = owner

        def take_out() -> None:
            del self.commands[name], self.descriptions[name], self._owners[name]

        return take_out

    def actor(self, jid: JID) -> Actor:
        """The actor with this address, which a stream has proved."""
        return Actor(jid, self.roles.scopes_of(jid), address=self.address_of(jid))

    def may(self, actor: Actor, about: Description) -> bool:
        """Whether an actor may give a command; an owner, for the own account."""
        return about.scope in actor.scopes or (about.who != "admins" and OWN in actor.scopes)

    def asked(
        self, name: str, given: Mapping[str, object], actor: Actor
    ) -> tuple[Command, CommandContext]:
        """The command that an actor gives, and its context.

        Raises:
            Refused: There is none of this name, the actor may not give it, or an argument is wrong.
        """
        command = self.commands.get(name)
        if command is None:
            raise Refused(f'unknown command "{name}"', Condition.ITEM_NOT_FOUND)
        if not self.may(actor, command.about):
            raise lacking(command.about.scope)
        at_the_machine = actor.way in ("xmppctl", "node")
        names_file = any(isinstance(each.kind, FileName) for each in command.about.arguments)
        if names_file and not at_the_machine:
            raise Refused("files can only be read on the server's own machine", Condition.FORBIDDEN)
        surface = Surface(self.domains, short_names=at_the_machine)
        arguments = Arguments(command.about.arguments, given, surface)
        for argument in command.about.arguments:
            beyond = argument.scope and argument.scope not in actor.scopes
            if beyond and arguments.is_set(argument.key):
                raise lacking(argument.scope, argument.key)
        stranger = command.about.who == "owner" and not actor.owns(arguments.jid(OWNED))
        if stranger and command.about.scope not in actor.scopes:
            raise Refused(
                "this account belongs to someone else", Condition.FORBIDDEN, argument=OWNED,
                scope=command.about.scope,
            )  # fmt: skip
        self._check_mightier(command.about, arguments, actor)
        return command, CommandContext(arguments, actor, given, self.others)

    async def check_before_secret(
        self, about: Description, given: Mapping[str, object], actor: Actor
    ) -> None:
        """Refuse a command that lacks only its secret, if nothing typed there could make it good.

        Raises:
            Refused: So it is.
        """
        given = {**given} | {each.key: "" for each in about.arguments if each.secret}
        command, context = self.asked(about.name, given, actor)
        why = command.why_not(given)
        if why:
            raise Refused(why)
        await command.before_secret(context)

    def _check_mightier(self, about: Description, arguments: Arguments, actor: Actor) -> None:
        """Have nobody change an account that may do more: whoever sets its password has it."""
        if about.scope != _ACCOUNTS:
            return
        for argument in about.arguments:
            for account in arguments.jids(argument.key):
                beyond = self.roles.scopes_of(account) - actor.scopes - {OWN}
                if beyond and not actor.owns(account):
                    raise Refused(
                        f"{account} has rights that you lack, such as {min(beyond)}",
                        Condition.FORBIDDEN, argument=argument.key, scope=min(beyond),
                    )  # fmt: skip

    async def replies(self, command: Command, context: CommandContext) -> Replies:
        """Run a command; the caller has to close the result, whatever happens.

        A command that only reads ends when its answer is not wanted any more.

        Raises:
            Refused: It cannot be done, for a reason that the actor should know; or it has a bug,
                which is logged.
            Incomplete: All is done that could be, and some nodes did not answer.
        """
        if context.actor.way != "node":  # the node that has it from a person has said so
            self._log_given(command, context)
        found = self._replies_wherever(command, context)
        if self.audit is not None and self.audit.wants(command, context):
            found = self.audit.watched(command, context, found)
        async with aclosing(found):
            async for reply in found:
                yield reply
                if not context.listening and command.about.effect == "reads":
                    return

    def _log_given(self, command: Command, context: CommandContext) -> None:
        """Log who gives a command; the same question is told seldom, since a monitor asks often."""
        actor, arguments = context.actor, shown(command, context)
        more: int | None = 0
        if command.about.effect == "reads":
            more = self.untold(f"{actor.way} {actor.who} {command.name} {arguments}")
        if more is not None:
            _log.info(
                "{way}: {actor} ran the command {command} {arguments}{more}",
                way=actor.way, actor=actor.who, address=actor.address,
                command=command.name, arguments=arguments,
                more=f" (similar lines left out: {more})" if more else "",
            )  # fmt: skip

    def _replies_wherever(self, command: Command, context: CommandContext) -> Replies:
        """The replies of all nodes that are asked."""
        others = context.others
        if command.about.asks == "here" or not others.nodes:
            return self._replies_here(command, context)
        if command.about.answers == "stream":
            return merged(
                of_node(others.here, self._replies_here(command, context)),
                *(
                    of_node(node, others.replies(node, command.name, context.given))
                    for node in others.nodes
                ),
            )
        return self._replies_of_all(command, context)

    async def _replies_of_all(self, command: Command, context: CommandContext) -> Replies:
        """The replies of this node, then those of each other one. A node that knows nothing of
        what is asked for does not matter, unless all of them know nothing.
        """
        others, missing = context.others, list[str]()
        unknown: list[Refused] = []
        sources = {others.here: self._replies_here(command, context)}
        for node in others.nodes:
            sources[node] = others.replies(node, command.name, context.given)
        for node, source in sources.items():
            try:
                async with aclosing(of_node(node, source)) as found:
                    async for reply in found:
                        yield reply
            except Unanswered:
                missing.append(node)
            except Refused as error:
                if error.condition is not Condition.ITEM_NOT_FOUND:
                    raise
                unknown.append(error)
        if len(unknown) == len(sources):
            raise unknown[0]
        if missing:
            raise Incomplete(missing)

    async def _replies_here(self, command: Command, context: CommandContext) -> Replies:
        try:
            async with aclosing(command.run(context)) as found:
                async for reply in found:
                    yield reply
        except (Refused, CancelledError):
            raise
        except StanzaError as error:
            raise Refused(error.text or "the command was refused", error.condition) from error
        except Exception as error:
            owner = self._owners.get(command.name, OWNER)
            _log.failure("{owner} failed on the command {name}", owner=owner, name=command.name)
            raise failed() from error


def lacking(scope: str, argument: str = "") -> Refused:
    """The refusal of somebody who lacks a scope."""
    what = f"the argument {argument}" if argument else "this command"
    return Refused(
        f"{what} needs administrator rights or the scope {scope}",
        Condition.FORBIDDEN,
        argument=argument,
        scope=scope,
    )


async def of_node(node: str, replies: Replies) -> Replies:
    """The replies of a node, each with its name."""
    async with aclosing(replies):
        async for reply in replies:
            yield f"{node}: {reply}" if isinstance(reply, str) else RowOfNode(node, reply)


def _check_arguments(about: Description) -> None:
    if about.area not in AREAS:
        raise ValueError(
            f"{about.name} has the unknown area {about.area}; use one of {', '.join(AREAS)}"
        )
    if about.effect == "ends" and DRY_RUN not in about.arguments:
        raise ValueError(f"{about.name} ends something, but lacks the argument --dry-run")
    if about.asks == "all" and any(argument.secret for argument in about.arguments):
        raise ValueError(f"{about.name} has a secret, which may not be sent to other nodes")
    keys = set(SHELLS_OWN)
    for argument in about.arguments:
        if argument.key in keys or not _ARGUMENT.fullmatch(argument.name):
            raise ValueError(f"{about.name} cannot have an argument {argument.name}")
        keys.add(argument.key)
    if sum(argument.secret for argument in about.arguments) > 1:
        raise ValueError(
            f"{about.name} has more than one secret, but there is only one standard input"
        )
