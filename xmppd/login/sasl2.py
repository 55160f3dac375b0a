"""SASL2, the Extensible SASL Profile (:xep:`0388`): a login with all that follows it."""

import re
from base64 import b64encode
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from weakref import WeakKeyDictionary

from xmppd.auth.base import SASLError, while_store_answers
from xmppd.auth.login import UserAgent
from xmppd.auth.message import admit
from xmppd.login.authentication import Authentication
from xmppd.login.bind2 import BIND, Bind2
from xmppd.login.fast import FAST, FAST_ELEMENT
from xmppd.login.sasl import MAX_OFFERS
from xmppd.login.scram_upgrade import ScramUpgrades, Upgrade
from xmppd.stanza import JID, StreamCondition, StreamError, Tree, escape, ns, qname
from xmppd.stream.inline_feature import InlineFeature, InlineFeatures, InlinePlace
from xmppd.stream.stream_feature import Negotiation, Stream, StreamFeature

NS = "urn:xmpp:sasl:2"
MAX_AGENT_TEXT_LENGTH = 100
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CONTROL = re.compile(r"[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


@dataclass
class SASL2Request:
    """The client's requests for after its authentication.

    Attributes:
        tree: Its ``<authenticate/>``.
        agent: The client.
        account: The account that it has proved; None until then.
        tasks: The tasks before it is let in.
        asked: Whether the first of them waits for the client's answer.
    """

    tree: Tree
    agent: UserAgent
    account: JID | None = None
    tasks: list[Upgrade] = field(default_factory=list)
    asked: bool = False


class SASL2:
    """The profile of :xep:`0388`; all streams share one.

    Args:
        authentication: The part that it shares with the SASL of :rfc:`6120`.
        inline: The features that may be negotiated inside of a login.
        bind2: Binds a resource, after these.
        fast: Logging in by tokens.
        upgrades: The upgrade tasks before a client is let in, if it offers them.
    """

    def __init__(
        self,
        authentication: Authentication,
        inline: InlineFeatures,
        bind2: Bind2,
        fast: FAST,
        upgrades: ScramUpgrades,
    ) -> None:
        self.authentication = authentication
        self.inline = inline
        self.bind2 = bind2
        self.fast = fast
        self.upgrades = upgrades
        self._requests: WeakKeyDictionary[Negotiation, SASL2Request] = WeakKeyDictionary()

    def feature(self) -> StreamFeature:
        """Its row in the table."""
        return StreamFeature(
            advertise=self.advertise,
            needs=self.authentication.needs,
            unless=Stream.AUTHENTICATED,
            elements=(
                (qname(NS, "authenticate"), self.authenticate),
                (qname(NS, "response"), self.response),
                (qname(NS, "abort"), self.abort),
                (qname(NS, "next"), self.next),
                (qname(NS, "task-data"), self.task_data),
            ),
        )

    def advertise(self, negotiation: Negotiation) -> bytes:
        """The mechanisms, and the features that may come with a login (LI-1)."""
        exchange = self.authentication.offer(negotiation)
        if not exchange.offered:
            return b""
        has_keys = self.authentication.provider.has_keys(negotiation.domain)
        return _offer(
            exchange.offered,
            self.bind2.advertise(negotiation),
            self.inline.advertised(InlinePlace.AUTHENTICATE, negotiation),
            self.upgrades.advertisement if has_keys else b"",
        )

    # -- the exchange ---------------------------------------------------------------------------

    async def authenticate(self, negotiation: Negotiation, tree: Tree) -> None:
        """Begin an exchange with the mechanism the client chose, and note its other requests."""
        if negotiation in self._requests:
            raise StreamError(
                StreamCondition.POLICY_VIOLATION, "an authentication is already in progress"
            )
        request = self._requests[negotiation] = SASL2Request(tree, _agent(tree))
        try:
            self._begin(negotiation, request)
            initial = tree.find(qname(NS, "initial-response"))
            if initial is None:
                _write(negotiation, "challenge")
                return
            await self._step(negotiation, request, initial)
        except SASLError as error:
            self._failed(negotiation, error)

    def _begin(self, negotiation: Negotiation, request: SASL2Request) -> None:
        """Begin an exchange by a token, if the client has one; else by a mechanism for all
        clients.
        """
        token = request.tree.find(FAST_ELEMENT)
        make = None
        if token is not None:
            make = partial(self.fast.mechanism, agent=request.agent, element=token)
        name = request.tree.get("mechanism", "")
        self.authentication.begin(negotiation, name, NS, make)

    async def response(self, negotiation: Negotiation, tree: Tree) -> None:
        """Continue the exchange."""
        try:
            await self._step(negotiation, self._request(negotiation), tree)
        except SASLError as error:
            self._failed(negotiation, error)

    def abort(self, negotiation: Negotiation, tree: Tree) -> None:
        """End an exchange that the client has aborted."""
        self._failed(negotiation, SASLError("aborted"))

    def _request(self, negotiation: Negotiation) -> SASL2Request:
        request = self._requests.get(negotiation)
        if request is None:
            raise SASLError("malformed-request", "No authentication is in progress.")
        return request

    async def next(self, negotiation: Negotiation, tree: Tree) -> None:
        """Take the client's beginning of the task that it was told to do."""
        try:
            request = self._request(negotiation)
            task = request.tasks[0] if request.tasks else None
            if task is None or request.asked or tree.get("task") != task.name:
                raise SASLError("malformed-request", "Another task comes first.")
            request.asked = True
            _write(negotiation, "task-data", task.question)
        except SASLError as error:
            self._failed(negotiation, error)

    async def task_data(self, negotiation: Negotiation, tree: Tree) -> None:
        """Take the client's answer to a task."""
        try:
            request = self._request(negotiation)
            if request.account is None or not request.asked:
                raise SASLError("malformed-request", "No task is required.")
            with while_store_answers():
                await self._finish_task(request, tree)
                await admit(self.authentication.provider, request.account.bare)
        except SASLError as error:
            self._failed(negotiation, error)
            return
        await self._go_on(negotiation, request, request.account, b"")

    async def _finish_task(self, request: SASL2Request, tree: Tree) -> None:
        known = await self.upgrades.keep(request.tasks[0], tree)
        request.asked = False
        request.tasks = [replace(task, known=known) for task in request.tasks[1:]]

    async def _step(self, negotiation: Negotiation, request: SASL2Request, tree: Tree) -> None:
        if request.account is not None:
            raise SASLError("malformed-request", "The authentication has ended.")
        message = (tree.text or "").strip()
        answer = await self.authentication.step(negotiation, message, NS)
        account = self.authentication.account(negotiation)
        if account is None:
            _write(negotiation, "challenge", b64encode(answer))
            return
        _check_claim(negotiation, account)
        request.account = account
        mechanism = request.tree.get("mechanism", "")
        with while_store_answers():
            request.tasks = await self.upgrades.wanted(request.tree, account.bare, mechanism)
        await self._go_on(negotiation, request, account, answer)

    async def _go_on(
        self, negotiation: Negotiation, request: SASL2Request, account: JID, answer: bytes
    ) -> None:
        """Tell the client its next task, or let it in."""
        if not request.tasks:
            await self._succeed(negotiation, request, account, answer)
            return
        task = request.tasks[0].name.encode()
        content = _additional(answer) + b"<tasks><task>%b</task></tasks>" % task
        _write(negotiation, "continue", content)

    def _failed(self, negotiation: Negotiation, error: SASLError) -> None:
        self._requests.pop(negotiation, None)
        _write_failure(negotiation, error)
        self.authentication.fail(negotiation, error)

    # -- after the proof --------------------------------------------------------------------------

    async def _succeed(
        self, negotiation: Negotiation, request: SASL2Request, account: JID, answer: bytes
    ) -> None:
        """Let the client in, and do all that it asked for before it gets its success (LI-2, LI-3).

        Nothing is done for a connection that is lost meanwhile (LI-9).

        Raises:
            StreamError: RESOURCE_CONSTRAINT: the store failed; the client has been told that its
                login has failed, and no other is possible on this stream.
        """
        if negotiation.session.closed:
            return
        login = self.authentication.complete(negotiation, account, request.agent)
        del self._requests[negotiation]
        fresh, wire = negotiation.session, negotiation.session.connection
        taken: list[InlineFeature] = []
        try:
            with while_store_answers():
                said = await self._inline(negotiation, request.tree, taken)
        except SASLError as error:
            _write_failure(negotiation, error)
            raise StreamError(StreamCondition.RESOURCE_CONSTRAINT, error.text) from error
        session = negotiation.session  # another one, if the client has resumed it
        if session.closed or session.connection is not wire:  # it may have been resumed elsewhere
            return
        session.login = login
        if session.bound:
            negotiation.stream |= Stream.BOUND
        identifier = session.jid if session.bound else account
        _write(
            negotiation,
            "success",
            b"%b<authorization-identifier>%b</authorization-identifier>%b"
            % (_additional(answer), identifier.wire, said),
        )
        if session is fresh:  # nothing is negotiated on a stream that was resumed (LI-9)
            negotiation.offer()
        for feature in taken:
            feature.written(negotiation)

    async def _inline(
        self, negotiation: Negotiation, tree: Tree, taken: list[InlineFeature]
    ) -> bytes:
        """Take the features that came with the login; binding last, unless there is a resource by
        then.
        """
        answers = []
        for feature, take, element in self.inline.asked(InlinePlace.AUTHENTICATE, tree):
            answer = take(negotiation, element)
            answers.append(await answer if isinstance(answer, Awaitable) else answer)
            taken.append(feature)
        bind = tree.find(BIND)
        if bind is not None and not negotiation.session.bound:
            answers.append(await self.bind2.bind(negotiation, bind, taken))
        return b"".join(answers)


@lru_cache(maxsize=MAX_OFFERS)
def _offer(mechanisms: tuple[str, ...], bind: bytes, inline: bytes, tasks: bytes) -> bytes:
    """The feature that lists these; nothing else is in it, so what is kept is always right."""
    listed = "".join(f"<mechanism>{name}</mechanism>" for name in mechanisms).encode()
    parts = (NS.encode(), listed, bind, inline, tasks)
    return b"<authentication xmlns='%b'>%b<inline>%b%b</inline>%b</authentication>" % parts


def _write(negotiation: Negotiation, name: str, content: bytes = b"") -> None:
    negotiation.write(
        b"<%b xmlns='%b'>%b</%b>" % (name.encode(), NS.encode(), content, name.encode())
    )


def _write_failure(negotiation: Negotiation, error: SASLError) -> None:
    text = f"<text xml:lang='en'>{escape(error.text)}</text>" if error.text else ""
    _write(negotiation, "failure", f"<{error.condition} xmlns='{ns.SASL}'/>{text}".encode())


def _additional(answer: bytes) -> bytes:
    """The additional data of a mechanism's success."""
    return b"<additional-data>%b</additional-data>" % b64encode(answer) if answer else b""


def _check_claim(negotiation: Negotiation, account: JID) -> None:
    """Refuse a login as another account than the stream's header names (LI-4)."""
    claimed = negotiation.claimed
    if claimed is not None and claimed.local is not None and claimed.bare != account.bare:
        raise SASLError("invalid-authzid", "The stream's header names another account.")


def _agent(tree: Tree) -> UserAgent:
    """The client's description of itself: short, on one line, and with a valid id."""
    found = tree.find(qname(NS, "user-agent"))
    if found is None:
        return UserAgent()
    id = found.get("id", "")
    return UserAgent(
        id.lower() if _UUID.fullmatch(id) else "",
        _line(found.findtext(qname(NS, "software"))),
        _line(found.findtext(qname(NS, "device"))),
    )


def _line(text: str | None) -> str:
    return _CONTROL.sub(" ", text or "").strip()[:MAX_AGENT_TEXT_LENGTH]
