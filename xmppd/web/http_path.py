"""HTTPPath: a path of the web and who answers for it; and the place of all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.events import Undo
from xmppd.web.request import Answer, BodyLost, HTTPError, HTTPRequest, HTTPResponse, Pairs

Site = Literal["web", "metrics", "api", "console", "acme"]
"""A group of paths that a listener serves, or does not (``listen.serve``)."""

METHODS = frozenset(("DELETE", "GET", "PATCH", "POST", "PUT"))
MAX_PREFLIGHT_AGE_S = 7_200
NOWHERE = "-"
"""What is counted as the path of a request that nobody answers for."""

_log = Logger()


def anybody(request: HTTPRequest) -> None:
    """Let everybody pass."""


@dataclass(frozen=True, kw_only=True)
class HTTPPath:
    """A path, its methods, and who may use them (HT-1).

    Attributes:
        path: Such as ``/guestbook``; with a slash at its end it is all paths below as well.
        methods: Those it knows; ``HEAD`` comes with ``GET``.
        access: Called with the request before its body is read; raises an
            :class:`~xmppd.web.request.HTTPError` for whoever may not come. Who lets everybody come
            says so: :func:`anybody`.
        handle: Answers, at once or later.
        body: The kind of body it takes: none; one that is read before it is handed on, up to
            ``web.max_body_bytes``; or one that the handler reads piece by piece.
        origins: The origins whose pages may read its answers (CORS), or what tells them now;
            ``*`` for all.
        site: The group it belongs to.
        refuse: Writes its errors.
    """

    path: str
    access: Callable[[HTTPRequest], None]
    handle: Callable[[HTTPRequest], Answer]
    methods: tuple[str, ...] = ("GET",)
    body: Literal["none", "small", "stream"] = "none"
    origins: tuple[str, ...] | Callable[[], tuple[str, ...]] = ()
    site: Site = "web"
    refuse: Callable[[HTTPError], HTTPResponse] = HTTPError.response

    @property
    def allowed(self) -> str:
        """Its methods, as ``Allow`` lists them."""
        head = ("HEAD",) if "GET" in self.methods else ()
        return ", ".join((*self.methods, *head, "OPTIONS"))

    def cross_origin(self, request: HTTPRequest) -> Pairs:
        """The headers by which a page of another origin may read an answer."""
        origins = self.origins() if callable(self.origins) else self.origins
        if "*" in origins:
            return (("Access-Control-Allow-Origin", "*"),)
        origin = request.header("origin")
        allowed = (("Access-Control-Allow-Origin", origin),) if origin in origins else ()
        return (*allowed, ("Vary", "Origin")) if origins else ()

    def options(self, request: HTTPRequest) -> HTTPResponse:
        """The answer to ``OPTIONS``, which asks what a page of another origin may do."""
        if not (self.origins and request.header("origin")):
            return HTTPResponse(204, headers=(("Allow", self.allowed),))
        return HTTPResponse(
            204,
            headers=(
                ("Allow", self.allowed),
                ("Access-Control-Allow-Methods", self.allowed),
                ("Access-Control-Allow-Headers", "Authorization, Content-Type"),
                ("Access-Control-Max-Age", str(MAX_PREFLIGHT_AGE_S)),
            ),
        )


@dataclass(frozen=True)
class Guarded:
    """A path with its owner, whose mistakes cost nobody else anything.

    Attributes:
        part: The path.
        owner: The plugin that has brought it.
    """

    part: HTTPPath
    owner: str

    def answer(self, request: HTTPRequest) -> HTTPResponse | Deferred[HTTPResponse]:
        """The answer, at once or later; what fails later is a matter of :meth:`failed`."""
        try:
            answer = self.part.handle(request)
        except Exception:
            return self.failed(Failure())
        if isinstance(answer, (HTTPResponse, Deferred)):
            return answer

        async def wait() -> HTTPResponse:
            return await answer

        return Deferred.fromCoroutine(wait())

    def check(self, request: HTTPRequest) -> HTTPResponse | None:
        """The answer to somebody who may not come; None for others."""
        try:
            self.part.access(request)
        except Exception:
            return self.failed(Failure())
        return None

    def failed(self, failure: Failure) -> HTTPResponse:
        """The answer when the owner has failed; what it did not foresee is a 500."""
        error = failure.value
        if isinstance(error, HTTPError):
            return self.part.refuse(error)
        if isinstance(error, BodyLost):
            return self.part.refuse(HTTPError(400, f"The body is incomplete: {error}."))
        _log.failure("{owner} failed at {path}", failure, owner=self.owner, path=self.part.path)
        return self.part.refuse(
            HTTPError(500, "An internal error occurred; the server's log has it.")
        )


class HTTPPaths:
    """The place of all paths.

    Attributes:
        known: All that there have ever been, and what stands for none.
    """

    def __init__(self) -> None:
        self.known = {NOWHERE}
        self._paths: dict[str, Guarded] = {}

    def put(self, part: HTTPPath, owner: str) -> Undo:
        """Serve a path.

        Raises:
            ValueError: It is none, or another part has it, or one that it is below or above.
        """
        if not part.path.startswith("/") or "//" in part.path:
            raise ValueError(f"{part.path!r} is not a path: a path begins with one slash")
        if not set(part.methods) <= METHODS:
            raise ValueError(f"{part.path} has unknown methods: {part.methods}")
        for path, other in self._paths.items():
            if path == part.path or (other.owner != owner and _overlap(path, part.path)):
                raise ValueError(f"{part.path} is already served by {other.owner}, as {path}")
        self._paths[part.path] = Guarded(part, owner)
        self.known.add(part.path)

        def take_out() -> None:
            del self._paths[part.path]

        return take_out

    def find(self, path: str) -> Guarded | None:
        """Who answers for a path: itself, else the nearest above that has all below it."""
        found = self._paths.get(path)
        while found is None and path != "/":
            path = path[: path.rstrip("/").rfind("/") + 1]
            found = self._paths.get(path)
        return found


def _overlap(one: str, other: str) -> bool:
    return (one.endswith("/") and other.startswith(one)) or (
        other.endswith("/") and one.startswith(other)
    )
