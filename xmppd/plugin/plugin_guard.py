"""What a plugin's bug costs: its own work, and a line in the log that names the plugin.

Without a guard a stream feature that fails would end every stream, and a component that fails would
end a broadcast half-way. Interceptors and listeners are guarded where they are called.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import ParamSpec, TypeVar

from twisted.logger import Logger

from xmppd.handler.iq_handler import Answer, IQHandler
from xmppd.parts import Command, Component, DiscoExtension, DiscoNode
from xmppd.session.session import Route
from xmppd.session.session_state import Put, SessionState
from xmppd.stanza import (
    IQ,
    Condition,
    Element,
    Later,
    Stanza,
    StanzaError,
    StreamCondition,
    StreamError,
    Tree,
)
from xmppd.store.base import StoreError
from xmppd.stream.inline_feature import InlineFeature, InlineTaken
from xmppd.stream.stream_feature import Negotiation, StreamFeature, Taken

P = ParamSpec("P")
T = TypeVar("T")
_log = Logger()


def guarded(part: object, plugin: str) -> object:
    """The part of a plugin, such that its failing harms nobody else."""
    match part:
        case IQHandler():
            return GuardedHandler(part, plugin)
        case StreamFeature():
            elements = tuple((tag, _taken(taken, plugin)) for tag, taken in part.elements)
            return replace(part, advertise=_or(b"", part.advertise, plugin), elements=elements)
        case InlineFeature():
            return replace(
                part,
                advertise=_or(b"", part.advertise, plugin),
                elements=tuple((tag, _inline(taken, plugin)) for tag, taken in part.elements),
                written=_or(None, part.written, plugin),
            )
        case DiscoExtension():
            return replace(part, form=_or(None, part.form, plugin))
        case DiscoNode():
            return replace(
                part, info=_or(None, part.info, plugin), items=_or(None, part.items, plugin)
            )
        case Command():
            form = None if part.form is None else _form(part.form, plugin)
            return replace(part, run=_run(part.run, plugin), form=form)
        case SessionState():
            return replace(part, dump=_or(None, part.dump, plugin), load=_load(part.load, plugin))
        case Component():
            return replace(part, route=GuardedRoute(part.route, plugin))
    return part


class GuardedHandler(IQHandler):
    """A plugin's handler: says of itself what that says, and answers what that answers."""

    def __init__(self, handler: IQHandler, plugin: str) -> None:
        self.handler = handler
        self.plugin = plugin
        vars(self).update(
            query=handler.query,
            features=handler.features,
            account_features=handler.account_features,
            before_bind=handler.before_bind,
        )

    def on_get(self, iq: IQ) -> Answer | Awaitable[Answer]:
        return self._answer(self.handler.on_get, iq)

    def on_set(self, iq: IQ) -> Answer | Awaitable[Answer]:
        return self._answer(self.handler.on_set, iq)

    def _answer(
        self, method: Callable[[IQ], Answer | Awaitable[Answer]], iq: IQ
    ) -> Answer | Awaitable[Answer]:
        try:
            answer = method(iq)
        except Exception as error:
            raise _stanza_error(error, self.plugin) from error
        if answer is None or not isinstance(answer, Awaitable):
            return answer
        return self._wait(answer)

    async def _wait(self, answer: Awaitable[Answer]) -> Answer:
        try:
            return await answer
        except Exception as error:
            raise _stanza_error(error, self.plugin) from error


class GuardedRoute:
    """Where a plugin's component takes its stanzas; if that fails, the stanza has not arrived."""

    def __init__(self, route: Route, plugin: str) -> None:
        self.deliver: Callable[[Stanza, bytes], bool] = _or(False, route.deliver, plugin)


def _or(otherwise: T, function: Callable[P, T], plugin: str) -> Callable[P, T]:
    """The function, with an answer for when it fails."""

    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Exception:
            _log.failure("the plugin {plugin} failed", plugin=plugin)
            return otherwise

    return call


def _load(load: Callable[[bytes], Put], plugin: str) -> Callable[[bytes], Put]:
    """A session goes on without the state of a plugin that fails."""
    guarded = _or(lambda session: None, load, plugin)
    return lambda data: _or(None, guarded(data), plugin)


def _form(form: Callable[[IQ], Element], plugin: str) -> Callable[[IQ], Element]:
    def call(iq: IQ) -> Element:
        try:
            return form(iq)
        except Exception as error:
            raise _stanza_error(error, plugin) from error

    return call


Run = Callable[[IQ, dict[str, list[str]]], Awaitable[Element | str]]


def _run(run: Run, plugin: str) -> Run:
    async def call(iq: IQ, values: dict[str, list[str]]) -> Element | str:
        try:
            return await run(iq, values)
        except Exception as error:
            raise _stanza_error(error, plugin) from error

    return call


def _taken(taken: Taken, plugin: str) -> Taken:
    async def finish(later: Awaitable[None]) -> None:
        try:
            await later
        except Exception as error:
            raise _stream_error(error, plugin) from error

    def call(negotiation: Negotiation, element: Tree) -> Later:
        try:
            later = taken(negotiation, element)
        except Exception as error:
            raise _stream_error(error, plugin) from error
        return None if later is None else finish(later)

    return call


def _inline(taken: InlineTaken, plugin: str) -> InlineTaken:
    """Who fails has nothing to say in a login, which goes on."""

    async def finish(later: Awaitable[bytes]) -> bytes:
        try:
            return await later
        except StoreError:
            return b""  # the store has logged it
        except Exception:
            _log.failure("the plugin {plugin} failed", plugin=plugin)
            return b""

    def call(negotiation: Negotiation, element: Tree) -> bytes | Awaitable[bytes]:
        answer = _or(b"", taken, plugin)(negotiation, element)
        return finish(answer) if isinstance(answer, Awaitable) else answer

    return call


def _stanza_error(error: Exception, plugin: str) -> Exception:
    """The sender is told what the plugin said, that we have a bug, or that the store fails."""
    if isinstance(error, StanzaError | StreamError | StoreError):
        return error
    _log.failure("the plugin {plugin} failed", plugin=plugin)
    return StanzaError(Condition.INTERNAL_SERVER_ERROR)


def _stream_error(error: Exception, plugin: str) -> Exception:
    """The same for whoever negotiates a stream."""
    if isinstance(error, StreamError | StoreError):
        return error
    _log.failure("the plugin {plugin} failed", plugin=plugin)
    return StreamError(StreamCondition.INTERNAL_SERVER_ERROR)
