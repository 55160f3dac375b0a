"""XEP-0050: Ad-Hoc Commands. What the server can do on request, with a form or without one."""

import hmac
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_bytes, token_hex

from twisted.logger import Logger

from xmppd.command.ad_hoc import AdHocCommand, AdHocCommands
from xmppd.disco.disco import Says
from xmppd.disco.info import DiscoIdentity, DiscoInfo, DiscoItem, DiscoQuestion
from xmppd.handler.iq_handler import IQHandler
from xmppd.host.clocks import Clocks
from xmppd.plugin.place import Part
from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Element,
    StanzaError,
    StreamError,
    Tree,
    child,
    element,
    qname,
)
from xmppd.stanza.form import DATA, submitted
from xmppd.store.errors import StoreError

NS = "http://jabber.org/protocol/commands"
ACTIONS = ("execute", "cancel", "prev", "next", "complete")
MAX_SESSIONS = 100
MAX_SESSIONS_PER_REQUESTER = 10
SESSION_S = 600.0
_log = Logger()


@dataclass(frozen=True, slots=True)
class Session:
    """A form that is being filled in.

    Attributes:
        requester: Bare JID of whoever has it.
        form: What was asked.
        ends: When it is given up, on the clock.
    """

    requester: str
    form: Element
    ends: float


class Sessions:
    """The forms that are out; when there are too many, the oldest is given up.

    A session's id is sealed with its requester and its command: so one that has ended can be told
    from one that was never given out, or is somebody else's, without remembering any.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._key = token_bytes(32)
        self._open: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def new_id(self, requester: JID, node: str) -> str:
        """An id for this requester's execution of this command."""
        return self._sealed(token_hex(16), requester, node)

    def begin(self, session_id: str, requester: JID, form: Element) -> None:
        """Wait for this form."""
        self._give_up_expired()
        own = [known for known, s in self._open.items() if s.requester == requester.bare]
        if len(own) >= MAX_SESSIONS_PER_REQUESTER:
            del self._open[own[0]]
        elif len(self._open) >= MAX_SESSIONS:
            del self._open[next(iter(self._open))]
        self._open[session_id] = Session(requester.bare, form, self._seconds() + SESSION_S)

    def find(self, session_id: str, requester: JID, node: str) -> Session:
        """The session that goes on.

        Raises:
            StanzaError: It has ended, or is none of this requester's and this command's.
        """
        sealed = self._sealed(session_id.partition("-")[0], requester, node)
        if not hmac.compare_digest(sealed.encode(), session_id.encode()):
            raise refusal("bad-sessionid", "there is no such session")
        self._give_up_expired()
        if session_id not in self._open:
            raise StanzaError(
                Condition.NOT_ALLOWED, "this session has ended", application=(NS, "session-expired")
            )
        return self._open[session_id]

    def end(self, session_id: str) -> None:
        """Nothing may follow."""
        del self._open[session_id]

    def _sealed(self, nonce: str, requester: JID, node: str) -> str:
        message = f"{nonce}\0{requester.full}\0{node}".encode()
        return f"{nonce}-{hmac.digest(self._key, message, 'sha256').hex()}"

    def _give_up_expired(self) -> None:
        now = self._seconds()
        for session_id in [known for known, session in self._open.items() if session.ends <= now]:
            del self._open[session_id]


class IQCommandHandler(IQHandler):
    """Run commands, each in one stage: at once, or when its form has been filled in (§2.4).

    Args:
        table: All commands, and who may run what is for administrators only.
        seconds: The clock.
    """

    query = qname(NS, "command")
    features = (NS,)

    def __init__(
        self,
        table: AdHocCommands,
        seconds: Callable[[], float],
    ) -> None:
        self.table = table
        self.sessions = Sessions(seconds)

    async def on_set(self, iq: IQ) -> Element:
        """Execute a command, go on with it, or cancel it."""
        asked = iq.payload.tree[0]
        node, command = self._command(iq, asked)
        action = asked.get("action", "execute")
        if action not in ACTIONS:
            raise refusal("malformed-action", "there is no such action")
        session_id = asked.get("sessionid")
        if session_id is None:
            return await self._begin(iq, node, command, action)
        session = self.sessions.find(session_id, iq.sender, node)
        if action == "cancel":
            self.sessions.end(session_id)
            return answer(node, session_id, "canceled")
        if action in ("prev", "next"):
            raise refusal("bad-action", "this command has one stage only")
        values = read(asked, session.form)
        self.sessions.end(session_id)
        return await self._run(iq, node, command, session_id, values)

    def _command(self, iq: IQ, asked: Tree) -> tuple[str, AdHocCommand]:
        """The command that is meant, if the requester may run it."""
        if iq.to is not None and iq.to.local is not None:
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)
        node = asked.get("node")
        if not node:
            raise StanzaError(Condition.BAD_REQUEST, "a command has a node")
        command = self.table.commands.get(node)
        if command is None:
            raise StanzaError(Condition.ITEM_NOT_FOUND, "there is no such command")
        if not self._may_run(iq.sender, command):
            raise StanzaError(Condition.FORBIDDEN, "this command is for administrators")
        return node, command

    def _may_run(self, requester: JID, command: AdHocCommand) -> bool:
        return not command.admins_only or requester.to_bare() in self.table.admins

    def say(self, question: DiscoQuestion) -> DiscoInfo | None:
        """What :xep:`0030` says of the list of commands, and of one that may be run (§2.2)."""
        asker, node = question.asker, question.node
        if node == NS:
            items = tuple(
                DiscoItem(question.entity, command.name, command.node)
                for command in self.table.commands.values()
                if self._may_run(asker, command)
            )
            return DiscoInfo((DiscoIdentity("automation", "command-list"),), (NS,), items=items)
        command = self.table.commands.get(node)
        if command is None or not self._may_run(asker, command):
            return None
        identity = DiscoIdentity("automation", "command-node", command.name)
        return DiscoInfo((identity,), (NS, DATA))

    async def _begin(self, iq: IQ, node: str, command: AdHocCommand, action: str) -> Element:
        if action != "execute":
            raise refusal("bad-action", "a command begins with execute")
        session_id = self.sessions.new_id(iq.sender, node)
        if command.form is None:
            return await self._run(iq, node, command, session_id, {})
        with self._blaming(node):
            form = command.form(iq)
        self.sessions.begin(session_id, iq.sender, form)
        executing = answer(node, session_id, "executing")
        child(child(executing, "actions", execute="complete"), "complete")
        executing.append(form)
        return executing

    async def _run(
        self,
        iq: IQ,
        node: str,
        command: AdHocCommand,
        session_id: str,
        values: dict[str, list[str]],
    ) -> Element:
        _log.info("{requester} runs {node}", requester=iq.sender.full, node=node)
        with self._blaming(node):
            outcome = await command.run(iq, values)
        completed = answer(node, session_id, "completed")
        if not isinstance(outcome, str):
            completed.append(outcome)
        elif outcome:
            child(completed, "note", outcome, type="info")
        return completed

    @contextmanager
    def _blaming(self, node: str) -> Iterator[None]:
        """A bug of a command is its owner's, and costs nothing but this answer."""
        owner = self.table.owners[node]
        try:
            yield
        except (StanzaError, StreamError, StoreError):
            raise
        except Exception as error:
            _log.failure("{owner} failed on the command {node}", owner=owner, node=node)
            raise StanzaError(Condition.INTERNAL_SERVER_ERROR) from error


def answer(node: str, session_id: str, status: str) -> Element:
    """The ``<command/>`` that goes back."""
    return element(NS, "command", node=node, sessionid=session_id, status=status)


def read(asked: Tree, form: Element) -> dict[str, list[str]]:
    """The values of the form that came with a command (§3.5).

    Raises:
        StanzaError: There is none, or it does not answer ours.
    """
    came = asked.find(qname(DATA, "x"))
    if came is None or came.get("type") not in ("submit", "cancel"):  # §3.5.1: cancel submits too
        raise refusal("bad-payload", "the form is missing")
    try:
        return submitted(came, form)
    except ValueError as error:
        raise refusal("bad-payload", str(error)) from error


def refusal(condition: str, text: str) -> StanzaError:
    """A request that cannot be accepted as it is (§4.4)."""
    return StanzaError(Condition.BAD_REQUEST, text, application=(NS, condition))


def plug(table: AdHocCommands, clocks: Clocks) -> list[Part]:
    """What this feature is made of."""
    handler = IQCommandHandler(table, clocks.seconds)
    return [handler, Says(answer=handler.say, nodes=True)]
