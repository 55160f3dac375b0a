"""CommandForm: a command as a form that is filled in (:xep:`0004`), with its node (:xep:`0050`)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from twisted.logger import Logger

from xmppd.command.argument import Argument
from xmppd.command.command import OWNED, Description
from xmppd.command.command_context import Actor
from xmppd.command.command_table import CommandTable
from xmppd.command.kinds import Document
from xmppd.command.refused import Refused, failed
from xmppd.command.reply import Reply
from xmppd.events import OWNER, Undo
from xmppd.stanza import JID, Element
from xmppd.stanza.form import Field

NODES = "xmppd#"
"""The beginning of a command's node; its words follow."""

_log = Logger()


@dataclass(frozen=True, slots=True)
class Filled:
    """A form that was filled in.

    Attributes:
        values: By field.
        asker: The one that has filled it in.
        domain: The domain of ours that it was sent to.
    """

    values: Mapping[str, list[str]]
    asker: JID
    domain: str


@dataclass(frozen=True)
class CommandForm:
    """A form over a command.

    Each command has one of its own; a plugin brings another where a specification says what its
    node and its fields are called.

    Attributes:
        node: The name of the form.
        title: For people.
        command: The name of the command; without that command there is no form.
        form_type: The FORM_TYPE of its fields (:xep:`0068`).
        fields: Its fields; empty without any.
        told: Makes the command's arguments. Raises :class:`~xmppd.command.refused.Refused`.
        answer: Makes the form with the command's answer; None for its rows as they are.
        admins_only: Whether it is for administrators even if the command is for others as well.
        whole: Whether it asks for all arguments of the command, and is listed in place of its own
            form.
    """

    node: str
    title: str
    command: str
    form_type: str
    told: Callable[[Filled], Mapping[str, object]]
    fields: tuple[Field, ...] = ()
    answer: Callable[[Filled, list[Reply]], Element] | None = None
    admins_only: bool = False
    whole: bool = False


class CommandForms:
    """The place of forms over commands.

    Args:
        commands: All of them.

    Attributes:
        brought: By node: those that are not a command's own.
    """

    def __init__(self, commands: CommandTable) -> None:
        self.commands = commands
        self.brought: dict[str, CommandForm] = {}
        self._owners: dict[str, str] = {}

    def put(self, form: CommandForm, owner: str) -> Undo:
        """Add a form; returns a function that takes it out again.

        Raises:
            ValueError: Its node is taken.
        """
        node = form.node
        if node in self.brought or node.startswith(NODES):
            raise ValueError(f"{node} already exists")
        self.brought[node] = form
        self._owners[node] = owner

        def take_out() -> None:
            del self.brought[node], self._owners[node]

        return take_out

    def find(self, node: str, actor: Actor) -> CommandForm | None:
        """The form of this node, as it is for this actor; None if there is none."""
        form = self.brought.get(node)
        if form is not None:
            return form if form.command in self.commands.commands else None
        for name, command in self.commands.commands.items():
            if node == node_of(name) and command.about.answers != "stream":
                return own_form(command.about, actor)
        return None

    def may(self, actor: Actor, form: CommandForm) -> bool:
        """Whether the actor may fill it in."""
        about = self.commands.commands[form.command].about
        if form.admins_only:
            return about.scope in actor.scopes
        return self.commands.may(actor, about)

    def listed(self, actor: Actor) -> list[CommandForm]:
        """The forms that the actor may fill in."""
        return [form for form in self._all(actor) if self.may(actor, form)]

    def told(self, form: CommandForm, filled: Filled) -> Mapping[str, object]:
        """The arguments of its command.

        Raises:
            Refused: A field is wrong.
        """
        with self._blamed(form):
            return form.told(filled)

    def answer(self, form: CommandForm, filled: Filled, replies: list[Reply]) -> Element | None:
        """The form with an answer, made by a plugin's form; None if it has no such.

        Raises:
            Refused: It has a bug.
        """
        with self._blamed(form):
            return None if form.answer is None else form.answer(filled, replies)

    @contextmanager
    def _blamed(self, form: CommandForm) -> Iterator[None]:
        """A context in which a bug of a form is logged with its owner, and refuses this one
        answer.
        """
        try:
            yield
        except Refused:
            raise
        except Exception as error:
            owner = self._owners.get(form.node, OWNER)
            _log.failure("{owner} failed on the form {node}", owner=owner, node=form.node)
            raise failed() from error

    def _all(self, actor: Actor) -> Iterator[CommandForm]:
        commands = self.commands.commands
        whole = {form.command for form in self.brought.values() if form.whole}
        for name, command in commands.items():
            if name not in whole and command.about.answers != "stream":
                yield own_form(command.about, actor)
        for form in self.brought.values():
            if form.command in commands:
                yield form


def node_of(name: str) -> str:
    """The node of a command's own form."""
    return NODES + name.replace(" ", "-")


def own_form(about: Description, actor: Actor) -> CommandForm:
    """The form that asks for each argument of a command by its name."""
    own = about.who == "owner" and about.scope not in actor.scopes
    asked = [each for each in about.arguments if not (own and each.key == OWNED)]
    return CommandForm(
        node=node_of(about.name),
        title=about.help[:1].upper() + about.help[1:],
        command=about.name,
        form_type=node_of(about.name),
        told=partial(_told, asked, own),
        fields=tuple(map(_field, asked)),
    )


def _field(argument: Argument) -> Field:
    kind = argument.kind
    name = argument.key.replace("_", " ").capitalize()
    return Field(
        argument.key,
        f"{name} ({argument.help})",
        kind.field if argument.most == 1 else kind.fields,
        required=argument.required,
        options=kind.choices,
    )


def _told(asked: list[Argument], own: bool, filled: Filled) -> Mapping[str, object]:
    """The values that were filled in; a field left empty has none."""
    told: dict[str, object] = {OWNED: filled.asker.bare} if own else {}
    for argument in asked:
        values = [value for value in filled.values.get(argument.key, []) if value]
        if values and isinstance(argument.kind, Document):
            told[argument.key] = "\n".join(filled.values[argument.key])
        elif values:
            told[argument.key] = values[0] if argument.most == 1 else values
    return told
