"""Problems: how a refusal is written (:rfc:`9457`), in the sentence that xmppctl prints (CR-8)."""

from collections.abc import Mapping

from msgspec import json

from xmppd.command.refused import Refused
from xmppd.stanza import Condition
from xmppd.web.request import REASONS, HTTPError, HTTPResponse, Pairs

PROBLEM = "application/problem+json"
RETRY_AFTER_S = 1

STATUS: Mapping[Condition, int] = {
    Condition.CONFLICT: 409,
    Condition.FORBIDDEN: 403,
    Condition.INTERNAL_SERVER_ERROR: 500,
    Condition.ITEM_NOT_FOUND: 404,
    Condition.NOT_ALLOWED: 403,
    Condition.POLICY_VIOLATION: 429,
    Condition.REMOTE_SERVER_TIMEOUT: 503,
    Condition.RESOURCE_CONSTRAINT: 429,
    Condition.SERVICE_UNAVAILABLE: 503,
}
"""The status of a stanza error; 400 for any other."""


class Problem(HTTPError):
    """An error of a request for a command.

    Args:
        status: Such as 404.
        sentence: The reason, with its full stop.
        argument: The argument that is wrong; empty if it is none.
        scope: What its actor lacks; empty if it is nothing.
        headers: Beside those that every answer has.
    """

    def __init__(
        self, status: int, sentence: str, argument: str = "", scope: str = "", headers: Pairs = ()
    ) -> None:
        super().__init__(status, sentence, headers)
        self.argument = argument
        self.scope = scope


def problem_of(error: Refused) -> Problem:
    """The problem that a refusal is."""
    status = STATUS.get(error.condition, 400)
    return Problem(status, f"{str(error).rstrip('.')}.", error.argument, error.scope)


def written(error: HTTPError) -> HTTPResponse:
    """The answer that says what the problem is."""
    body: dict[str, object] = {
        "title": REASONS.get(error.status, "Error"),
        "status": error.status,
        "detail": str(error),
    }
    if isinstance(error, Problem):
        body |= {"argument": error.argument} if error.argument else {}
        body |= {"scope": error.scope} if error.scope else {}
    headers: Pairs = (("Content-Type", PROBLEM), *error.headers)
    if error.status in (429, 503):
        headers = (*headers, ("Retry-After", str(RETRY_AFTER_S)))
    return HTTPResponse(error.status, json.encode(body), headers)


__all__ = ["PROBLEM", "STATUS", "Problem", "problem_of", "written"]
