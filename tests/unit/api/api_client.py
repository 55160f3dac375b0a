"""A program that gives commands by HTTP."""

import json
from collections.abc import Mapping
from typing import Any

from xmppd.command.command_context import SHELL
from xmppd.config.scopes import SCOPES
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.testing.web import WebAnswer, WebClient

JSON = "application/json"
ROOT = "/api/v1/"
TURNS = 100
"""Of the reactor, for what takes some."""


class Program:
    """A program with a key, on the server's machine.

    Args:
        house: Is asked.
        scopes: What the key may do; none for everything.
        name: The key's.
    """

    def __init__(self, house: House, *scopes: str, name: str = "tests") -> None:
        self.house = house
        made = house.server.api_keys.make(name, scopes or SCOPES, 86_400.0, SHELL)
        _, self.key = done(made)
        self.address = "127.0.0.1"

    def client(self) -> WebClient:
        """A connection."""
        return WebClient(self.house, self.address, serve=("api",))

    def headers(self, **more: str) -> dict[str, str]:
        """Those of a request, with underscores for hyphens."""
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {"Authorization": f"Bearer {self.key}", **named}

    def post(self, command: str, given: Mapping[str, object] | bytes, **headers: str) -> WebAnswer:
        """The answer to a command by POST."""
        body = given if isinstance(given, bytes) else json.dumps(given).encode()
        said = self.headers(**{"Content_Type": JSON, **headers})
        client = self.client()
        client.ask("POST", ROOT + command.replace(" ", "/"), body, said)
        self.house.clock.pump([0.0] * TURNS)
        return self._answer(client)

    def get(self, command: str, query: str = "", **headers: str) -> WebAnswer:
        """The answer to a command by GET."""
        path = ROOT + command.replace(" ", "/") + (query and f"?{query}")
        client = self.client()
        client.ask("GET", path, headers=self.headers(**headers))
        return self._answer(client)

    def _answer(self, client: WebClient) -> WebAnswer:
        """The answer, behind which the connection is closed."""
        answer = client.answer()
        client.transport.loseConnection()
        return answer


def body_of(answer: WebAnswer) -> dict[str, Any]:
    """The body of an answer, as JSON."""
    found: dict[str, Any] = json.loads(answer.body)
    return found


def lines_of(answer: WebAnswer) -> list[dict[str, Any]]:
    """The lines of an answer."""
    return [json.loads(line) for line in answer.body.splitlines()]
