"""XEP-0050: Ad-Hoc Commands. The server's commands, with a form or without one."""

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from secrets import token_bytes, token_hex

from twisted.logger import Logger

from xmppd.command.command import Command
from xmppd.command.command_context import Actor, CommandContext
from xmppd.command.command_form import CommandForm, CommandForms, Filled
from xmppd.command.command_table import lacking
from xmppd.command.other_nodes import Incomplete
from xmppd.command.refused import Refused
from xmppd.command.reply import Reply, Row, columns_of
from xmppd.disco.disco import Of, Says
from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoItem, DiscoQuestion
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.host.clocks import Clocks
from xmppd.host.printable import printable
from xmppd.plugin.place import Part
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError, Tree, child, element, qname
from xmppd.stanza.form import DATA, Field, form, result, submitted, table

NS = "http://jabber.org/protocol/commands"
ACTIONS = ("execute", "cancel", "prev", "next", "complete")
MAX_EXECUTIONS = 100
MAX_EXECUTIONS_PER_REQUESTER = 10
EXECUTION_S = 600.0
ROWS_PER_SCREEN = 50
MAX_ROWS = 1_000
INSTRUCTIONS = "Fill out this form."
CONFIRM = "This cannot be undone. Complete the command to do it, or cancel it."

Cells = Sequence[tuple[str, ...]]
_log = Logger()


@dataclass(frozen=True, slots=True)
class Screens:
    """The answer of a command, where that is more than one screen.

    Attributes:
        form_type: Of the fields.
        columns: Those of each row.
        rows: All of them.
        at: The screen that is shown; the first is 0.
    """

    form_type: str
    columns: tuple[Field, ...]
    rows: Sequence[Cells]
    at: int = 0

    @property
    def last(self) -> int:
        """The last screen."""
        return (max(len(self.rows), 1) - 1) // ROWS_PER_SCREEN

    @property
    def actions(self) -> tuple[str, ...]:
        """The actions from here; the last one is the default (§3.4)."""
        before = ("prev",) if self.at else ()
        return (*before, "complete", "next") if self.at < self.last else (*before, "complete")

    def turned(self, action: str) -> "Screens":
        """The screens with another one shown, before or next."""
        return replace(self, at=self.at + (1 if action == "next" else -1))

    def shown(self) -> Element:
        """The screen as a form."""
        begin = self.at * ROWS_PER_SCREEN
        return table(self.form_type, self.columns, self.rows[begin : begin + ROWS_PER_SCREEN])


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution of a command that has more than one stage.

    Attributes:
        requester: Bare JID of its requester.
        stage: The form that was sent, or the screens.
        ends: The time when it is given up, on the clock.
    """

    requester: str
    stage: Element | Screens
    ends: float


class Executions:
    """The executions under way; when there are too many, the oldest is given up.

    An id is sealed with its requester and its command: so one that has ended can be told from one
    that was never given out, or is another's, without remembering any.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._key = token_bytes(32)
        self._open: dict[str, Execution] = {}

    def __len__(self) -> int:
        return len(self._open)

    def new_id(self, requester: JID, node: str) -> str:
        """An id for this requester's execution of this command."""
        return self._sealed(token_hex(16), requester, node)

    def wait(self, session_id: str, requester: JID, stage: Element | Screens) -> None:
        """Wait for the request after this stage."""
        self._forget_expired()
        self._open.pop(session_id, None)
        own = [known for known, e in self._open.items() if e.requester == requester.bare]
        if len(own) >= MAX_EXECUTIONS_PER_REQUESTER:
            del self._open[own[0]]
        elif len(self._open) >= MAX_EXECUTIONS:
            del self._open[next(iter(self._open))]
        ends = self._seconds() + EXECUTION_S
        self._open[session_id] = Execution(requester.bare, stage, ends)

    def find(self, session_id: str, requester: JID, node: str) -> Execution:
        """The execution that is continued.

        Raises:
            StanzaError: It has ended, or is none of this requester's and this command's.
        """
        sealed = self._sealed(session_id.partition("-")[0], requester, node)
        if not hmac.compare_digest(sealed.encode(), session_id.encode()):
            raise refusal("bad-sessionid", "the session does not exist")
        self._forget_expired()
        if session_id not in self._open:
            raise StanzaError(
                Condition.NOT_ALLOWED, "this session has ended", application=(NS, "session-expired")
            )
        return self._open[session_id]

    def forget(self, session_id: str) -> None:
        """Forget an execution, which is over."""
        del self._open[session_id]

    def _sealed(self, nonce: str, requester: JID, node: str) -> str:
        message = f"{nonce}\0{requester.full}\0{node}".encode()
        return f"{nonce}-{hmac.digest(self._key, message, 'sha256').hex()}"

    def _forget_expired(self) -> None:
        now = self._seconds()
        for session_id in [
            known for known, execution in self._open.items() if execution.ends <= now
        ]:
            del self._open[session_id]


@dataclass(frozen=True, slots=True)
class AskedCommand:
    """A request that the requester may make.

    Attributes:
        node: Of the form.
        form: The form, as it is for the actor.
        actor: The requester.
        filled: The form that was filled in.
        session_id: Of the execution.
    """

    node: str
    form: CommandForm
    actor: Actor
    filled: Filled
    session_id: str


class IQCommandHandler(IQHandler):
    """Run commands: at once, or when a form has been filled in (§2.4); long answers in screens.

    Args:
        forms: Of all commands; they say who may run them.
        seconds: The clock.
    """

    query = qname(NS, "command")
    to = To.SERVER | To.OWN_ACCOUNT
    features = (NS,)

    def __init__(self, forms: CommandForms, seconds: Callable[[], float]) -> None:
        self.forms = forms
        self.executions = Executions(seconds)

    async def on_set(self, iq: IQ, asked: Asked) -> Element:
        """Execute a command, continue it, or cancel it."""
        tree = iq.payload.tree[0]
        command = self._asked(iq, tree)
        action = tree.get("action", "execute")
        if action not in ACTIONS:
            raise refusal("malformed-action", "unknown action")
        if tree.get("sessionid") is None:
            return await self._begin(command, iq, action)
        stage = self.executions.find(command.session_id, iq.sender, command.node).stage
        if action == "cancel":
            self.executions.forget(command.session_id)
            return answer(command, "canceled")
        if isinstance(stage, Screens):
            return self._turn(command, iq, stage, action)
        if action in ("prev", "next"):
            raise refusal(
                "bad-action", "this command has only one form, so prev and next are not possible"
            )
        values = read(tree, stage)
        return await self._run(replace(command, filled=replace(command.filled, values=values)), iq)

    def _asked(self, iq: IQ, tree: Tree) -> AskedCommand:
        """The request, if the requester may make it."""
        node = tree.get("node")
        if not node:
            raise StanzaError(Condition.BAD_REQUEST, "the command's node is missing")
        actor = self.forms.commands.actor(iq.sender)
        found = self.forms.find(node, actor)
        if found is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "unknown command")
        if not self.forms.may(actor, found):
            scope = self.forms.commands.commands[found.command].about.scope
            raise StanzaError(Condition.FORBIDDEN, str(lacking(scope)))
        filled = Filled({}, iq.sender, (iq.to or iq.sender).domain)
        session_id = tree.get("sessionid")
        if session_id is None:
            session_id = self.executions.new_id(iq.sender, node)
        return AskedCommand(node, found, actor, filled, session_id)

    def say(self, question: DiscoQuestion) -> DiscoInfo | None:
        """The answers of :xep:`0030` for the list of commands, and for one that may be run
        (§2.2).
        """
        actor = self.forms.commands.actor(question.asker)
        if question.node == NS:
            items = tuple(
                DiscoItem(question.entity, each.title, each.node)
                for each in self.forms.listed(actor)
            )
            return DiscoInfo((DiscoIdentity("automation", "command-list"),), (NS,), items=items)
        found = self.forms.find(question.node, actor)
        if found is None or not self.forms.may(actor, found):
            return None
        identity = DiscoIdentity("automation", "command-node", found.title)
        return DiscoInfo((identity,), (NS, DATA))

    async def _begin(self, asked: AskedCommand, iq: IQ, action: str) -> Element:
        if action != "execute":
            raise refusal("bad-action", "start a command with execute")
        of = asked.form
        if not self._asks(of):
            return await self._run(asked, iq)
        shown = form(
            of.form_type, of.title, CONFIRM if self._ends(of) else INSTRUCTIONS, *of.fields
        )
        self.executions.wait(asked.session_id, iq.sender, shown)
        executing = answer(asked, "executing", ("complete",))
        executing.append(shown)
        return executing

    def _asks(self, of: CommandForm) -> bool:
        """Whether there is a form to send back: with fields, or to have an end confirmed."""
        return bool(of.fields) or self._ends(of)

    def _ends(self, of: CommandForm) -> bool:
        return self.forms.commands.commands[of.command].about.effect == "ends"

    async def _run(self, asked: AskedCommand, iq: IQ) -> Element:
        """Run the command of a form; a form with an error does not end its execution."""
        with self._refused(asked.actor):
            command, context = self.forms.commands.asked(
                asked.form.command, self.forms.told(asked.form, asked.filled), asked.actor
            )
            if self._asks(asked.form):
                self.executions.forget(asked.session_id)
            most = MAX_ROWS if asked.form.answer is None else None
            replies = await self._replies(command, context, most)
            shown = self.forms.answer(asked.form, asked.filled, replies)
        if shown is None:
            return self._answered(asked, iq, command, replies)
        completed = answer(asked, "completed")
        completed.append(shown)
        return completed

    async def _replies(
        self, command: Command, context: CommandContext, most: int | None
    ) -> list[Reply]:
        """The replies of a command; of one that only reads, as many as can be shown."""
        found: list[Reply] = []
        try:
            async with aclosing(self.forms.commands.replies(command, context)) as replies:
                async for reply in replies:
                    if len(found) == most and command.about.effect == "reads":
                        found.append(f"only the first {most} are shown")
                        break
                    found.append(reply)
        except Incomplete as error:
            found.append(str(error))
        return found

    def _answered(
        self, asked: AskedCommand, iq: IQ, command: Command, replies: list[Reply]
    ) -> Element:
        rows = [columns_of(reply) for reply in replies if not isinstance(reply, str)]
        form_type = asked.form.form_type
        if command.about.answers in ("sentences", "document"):
            says = Field(
                "says", type="text-multi", values=tuple(printable(r["says"]) for r in rows)
            )
            screens, shown = None, result(form_type, says)
        elif command.rows:
            screens = Screens(form_type, columns(command.rows, rows), [cells(row) for row in rows])
            shown = screens.shown()
        else:
            screens = shown = None
        if screens is not None and screens.last:
            self.executions.wait(asked.session_id, iq.sender, screens)
            answered = answer(asked, "executing", screens.actions)
        else:
            answered = answer(asked, "completed")
        if shown is not None:
            answered.append(shown)
        notes = "\n".join(f"{printable(reply)}." for reply in replies if isinstance(reply, str))
        if notes:
            child(answered, "note", notes, type="info")
        return answered

    def _turn(self, asked: AskedCommand, iq: IQ, screens: Screens, action: str) -> Element:
        action = screens.actions[-1] if action == "execute" else action
        if action not in screens.actions:
            raise refusal(
                "bad-action", f"this form has no {action}; use one of the actions that it offers"
            )
        if action == "complete":
            self.executions.forget(asked.session_id)
            return answer(asked, "completed")
        turned = screens.turned(action)
        self.executions.wait(asked.session_id, iq.sender, turned)
        answered = answer(asked, "executing", turned.actions)
        answered.append(turned.shown())
        return answered

    @contextmanager
    def _refused(self, actor: Actor) -> Iterator[None]:
        """The note with a refusal; details of a failure are for administrators only."""
        try:
            yield
        except Refused as error:
            if error.condition is Condition.BAD_REQUEST:
                raise refusal("bad-payload", str(error)) from error
            ours = error.condition is Condition.INTERNAL_SERVER_ERROR
            text = None if ours and not actor.admin else str(error)
            raise StanzaError(error.condition, text) from error


def columns(
    kinds: tuple[type[Row], ...], rows: Sequence[Mapping[str, object]]
) -> tuple[Field, ...]:
    """The columns of rows, by the first one, or by their class if there is none."""
    first = rows[0] if rows else dict.fromkeys(kinds[0].__struct_encode_fields__)
    return tuple(
        Field(name, name.replace("_", " ").capitalize(), type_of(value))
        for name, value in first.items()
    )


def type_of(value: object) -> str:
    """The type of a field that shows such a value."""
    if isinstance(value, bool):
        return "boolean"
    return "text-multi" if isinstance(value, list) else "text-single"


def cells(row: Mapping[str, object]) -> Cells:
    """The values of each field of a row."""
    return [tuple(map(printable, texts(value))) for value in row.values()]


def texts(value: object) -> list[str]:
    """The texts of a value for a form."""
    if value is None:
        return []
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def answer(asked: AskedCommand, status: str, actions: tuple[str, ...] = ()) -> Element:
    """The ``<command/>`` that goes back.

    Args:
        asked: The request.
        status: Of the execution.
        actions: Those that are possible next; the last one is the default.
    """
    made = element(NS, "command", node=asked.node, sessionid=asked.session_id, status=status)
    if actions:
        listed = child(made, "actions", execute=actions[-1])
        for action in sorted(actions, key=ACTIONS.index):
            child(listed, action)
    return made


def read(asked: Tree, shown: Element) -> dict[str, list[str]]:
    """The values of the form that came with a command (§3.5).

    Raises:
        StanzaError: There is none, or it does not answer ours.
    """
    came = asked.find(qname(DATA, "x"))
    if came is None or came.get("type") not in ("submit", "cancel"):  # §3.5.1: cancel submits too
        raise refusal("bad-payload", "the form is missing")
    try:
        return submitted(came, shown)
    except ValueError as error:
        raise refusal("bad-payload", str(error)) from error


def refusal(condition: str, text: str) -> StanzaError:
    """A request that cannot be accepted as it is (§4.4)."""
    return StanzaError(Condition.BAD_REQUEST, text, application=(NS, condition))


def plug(forms: CommandForms, clocks: Clocks) -> list[Part]:
    """The parts of this feature."""
    handler = IQCommandHandler(forms, clocks.seconds)

    def says_account(question: DiscoQuestion) -> DiscoInfo | None:
        """The same as at the server, for the owner: some clients look there."""
        is_own = question.asker.bare == question.entity.bare
        return handler.say(question) if is_own else None

    return [
        handler,
        Says(answer=handler.say, nodes=True),
        Says(of=Of.ACCOUNT, answer=says_account, nodes=True),
    ]
