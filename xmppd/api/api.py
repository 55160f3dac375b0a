"""API: every command of the server by HTTP, for programs that show a key (CR-8)."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from functools import partial
from ipaddress import ip_address

from msgspec import json
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.api.answers import EVENTS, NDJSON, KeptAlive, Lines, begun, events, in_one, lines
from xmppd.api.given import JSON, of_body, of_query
from xmppd.api.jobs import Jobs
from xmppd.api.openapi import document
from xmppd.api.problem import Problem, problem_of, written
from xmppd.auth.api_keys import APIKeys, WrongKey
from xmppd.auth.base import SASLError
from xmppd.command.command import Command
from xmppd.command.command_context import Actor, CommandContext
from xmppd.command.command_table import CommandTable
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies
from xmppd.stanza.text import find_unwritable
from xmppd.store.errors import STORE_FAILS, StoreError
from xmppd.web.http_doors import HTTPDoors
from xmppd.web.http_path import HTTPPath
from xmppd.web.request import HTTPRequest, HTTPResponse, Pairs, Pieces

ROOT = "/api/v1/"
DOCUMENT = "/api/v1/openapi.json"

MAX_COMMANDS = 16
"""Commands that may be under way (CR-12)."""

MAX_STREAMS = 4
"""Those among them whose answers leave line by line."""

LOOK_AT_KEY_EVERY_S = 5.0
"""While an answer without an end leaves, the key that was shown for it is looked at so often."""

MAX_REQUEST_NAME_LENGTH = 200
ASYNC = "respond-async"
_CHALLENGE = 'Bearer realm="xmppd"'
_UNKNOWN: Pairs = (("WWW-Authenticate", _CHALLENGE),)
_WRONG: Pairs = (("WWW-Authenticate", f'{_CHALLENGE}, error="invalid_token"'),)

_log = Logger()


class API:
    """The paths of listeners that serve ``api``.

    Args:
        commands: All there are.
        keys: Say who asks.
        jobs: Do what nobody waits for.
        doors: Have the limits.
        clock: The reactor's.
    """

    def __init__(
        self,
        commands: CommandTable,
        keys: APIKeys,
        jobs: Jobs,
        doors: HTTPDoors,
        clock: IReactorTime,
    ) -> None:
        self._commands = commands
        self._keys = keys
        self._jobs = jobs
        self._doors = doors
        self._clock = clock
        self._under_way = self._streams = 0

    def paths(self) -> Iterator[HTTPPath]:
        """Where they are: one for all commands, and the description of these."""
        path = partial(HTTPPath, access=shows_key, site="api", refuse=written)
        yield path(path=DOCUMENT, handle=self.describe)
        yield path(path=ROOT, handle=self.give, methods=("GET", "POST"), body="stream")

    async def describe(self, request: HTTPRequest) -> HTTPResponse:
        """All commands, in OpenAPI (CR-9).

        Raises:
            Problem: Nobody known asks.
        """
        await self._actor(request)
        body = json.encode(document(self._commands.commands.values(), ROOT.rstrip("/")))
        return HTTPResponse(200, body, (("Content-Type", JSON),))

    async def give(self, request: HTTPRequest) -> HTTPResponse:
        """Give the command that the path names.

        Raises:
            Problem: It is refused.
        """
        actor = await self._actor(request)
        try:
            return await self._give(request, actor)
        except Refused as error:
            raise problem_of(error) from error

    async def _give(self, request: HTTPRequest, actor: Actor) -> HTTPResponse:
        command = self._found(request)
        about = command.about
        if request.method == "POST":
            given = await of_body(about, request, self._doors.settings.max_body_bytes)
        else:
            given = of_query(about, request.query)
        _, context = self._commands.asked(about.name, given, actor)
        context.request = _request_name(request)
        is_endless = about.answers == "stream"
        if request.method == "POST" and ASYNC in request.header("prefer"):
            return await self._later(command, context)
        request.gone.then(partial(_note_gone, context))
        by_line = NDJSON in request.header("accept") and about.effect == "reads"
        if is_endless or by_line:
            return await self._by_line(request, command, context)
        self._take_place()
        try:
            async with aclosing(self._commands.replies(command, context)) as replies:
                body = await in_one(replies, reads=about.effect == "reads")
        finally:
            self._under_way -= 1
        return HTTPResponse(200, body, (("Content-Type", JSON),))

    async def _later(self, command: Command, context: CommandContext) -> HTTPResponse:
        """Begin a job, and say how to ask for it."""
        if command.about.answers == "stream" and command.about.effect == "reads":
            raise Problem(400, "This command never ends, so it cannot be a job.")
        job = await self._jobs.begin(command, context)
        headers = (("Content-Type", JSON), ("Location", f"{ROOT}job/show?job={job.id}"))
        return HTTPResponse(202, json.encode({"job": job.id}), headers)

    def _found(self, request: HTTPRequest) -> Command:
        """The command that a path names, if it may be given by this method."""
        path = request.path.removeprefix(ROOT)
        name = path.replace("/", " ")
        command = None if " " in path else self._commands.commands.get(name)
        if command is None:
            shown = name[:100] if name.isprintable() else "?"
            raise Problem(404, f'Unknown command "{shown}".')
        if request.method == "GET" and not may_be_got(command):
            raise Problem(405, "Run this command with POST.", headers=(("Allow", "POST"),))
        return command

    async def _by_line(
        self, request: HTTPRequest, command: Command, context: CommandContext
    ) -> HTTPResponse:
        """The answer line by line, for which a place is kept until its end."""
        if self._streams >= MAX_STREAMS:
            raise Problem(429, f"{MAX_STREAMS} streamed answers are already in progress.")
        self._take_place()
        self._streams += 1
        is_over = False
        replies = self._commands.replies(command, context)
        sources: list[AsyncGenerator[object, None]] = [replies]
        if command.about.answers == "stream":
            replies = self._while_known(replies, _key(request), command.about.scope)
            sources.insert(0, replies)

        def close() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._streams -= 1
                self._under_way -= 1
                Deferred.fromCoroutine(_close(sources)).addErrback(_not_closed)

        if command.about.answers != "stream":
            try:
                replies = await begun(replies)
            except BaseException:
                close()
                raise
            sources.insert(0, replies)
        source, kind = lines(replies), NDJSON
        sources.insert(0, source)
        if command.about.answers == "stream" and EVENTS in request.header("accept"):
            kind = EVENTS
            for wrap in (events, self._kept_alive):
                source = wrap(source)
                sources.insert(0, source)
        headers: Pairs = (("Content-Type", kind), ("Cache-Control", "no-store"))
        return HTTPResponse(
            200, Pieces(source, None, close), (*headers, ("X-Accel-Buffering", "no"))
        )

    async def _while_known(self, replies: Replies, key: str, scope: str) -> Replies:
        """The same replies, while the key may have them (CR-6)."""
        looked_at = self._clock.seconds()
        async for reply in replies:
            now = self._clock.seconds()
            if now - looked_at >= LOOK_AT_KEY_EVERY_S:
                looked_at = now
                if not await self._may_still(key, scope):
                    raise Refused("this key was revoked, or lost the right to do this")
            yield reply

    async def _may_still(self, key: str, scope: str) -> bool:
        try:
            return await self._keys.may_still(key, scope)
        except StoreError:
            return True  # it is watched why the store fails, maybe

    def _kept_alive(self, source: Lines) -> Lines:
        return KeptAlive(source, self._clock).pieces()

    def _take_place(self) -> None:
        """Take a place among the commands under way, which has to be given back."""
        if self._under_way >= MAX_COMMANDS:
            raise Problem(429, f"{MAX_COMMANDS} commands are in progress; try again later.")
        self._under_way += 1

    async def _actor(self, request: HTTPRequest) -> Actor:
        """Whoever asks, by the key that is shown.

        Raises:
            Problem: It is none, came in clear text, or somebody guesses there.
        """
        if not request.encrypted and not _is_here(request.address):
            raise Problem(403, "This key was sent unencrypted: use https, and create a new key.")
        try:
            return await self._keys.actor(_key(request), request.address)
        except WrongKey:
            raise Problem(401, "This key is unknown, or has expired.", headers=_WRONG) from None
        except SASLError as error:
            raise Problem(429, "Your network sent too many wrong keys.") from error
        except StoreError as error:
            raise Problem(503, STORE_FAILS) from error


def may_be_got(command: Command) -> bool:
    """Whether a command may be given by GET: it changes nothing, and nothing of it is secret."""
    about = command.about
    return about.effect == "reads" and not any(each.hidden for each in about.arguments)


def shows_key(request: HTTPRequest) -> None:
    """Let pass who shows something that may be a key; whether it is one is found out later.

    Raises:
        Problem: There is none.
    """
    if not _key(request):
        raise Problem(401, "Send a key, as in Authorization: Bearer xmppd_….", headers=_UNKNOWN)


def _key(request: HTTPRequest) -> str:
    scheme, _, key = request.header("authorization").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _is_here(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _request_name(request: HTTPRequest) -> str:
    name = request.header("idempotency-key")
    if len(name) > MAX_REQUEST_NAME_LENGTH or find_unwritable(name):
        raise Problem(
            400, f"An Idempotency-Key may have up to {MAX_REQUEST_NAME_LENGTH} characters."
        )
    return name


def _note_gone(context: CommandContext) -> None:
    context.listening = False


async def _close(sources: list[AsyncGenerator[object, None]]) -> None:
    for source in sources:
        await source.aclose()


def _not_closed(failure: Failure) -> None:
    _log.failure("a command was not closed", failure)


__all__ = ["API", "DOCUMENT", "MAX_COMMANDS", "MAX_STREAMS", "ROOT", "may_be_got", "shows_key"]
