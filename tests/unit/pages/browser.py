"""Browser: somebody who looks at the pages of a house: keeps cookies, and says where forms were."""

import re
from collections.abc import Mapping
from html import unescape
from urllib.parse import urlencode

from xmppd.testing.house import House
from xmppd.testing.web import WebAnswer, WebClient
from xmppd.web.http_path import Site

TURNS = 100
_TOKEN = re.compile(r'name="token" value="([0-9a-f]+)"')


class Browser:
    """A browser.

    Args:
        house: Is asked.
        serve: What the listener serves.
        address: The browser's.
        host: As it names the server.

    Attributes:
        cookies: By name.
        token: That of the form it has seen last.
    """

    def __init__(
        self,
        house: House,
        serve: tuple[Site, ...] = ("console",),
        address: str = "127.0.0.1",
        host: str = "localhost",
    ) -> None:
        self.house = house
        self.cookies: dict[str, str] = {}
        self.token = ""
        self.origin = f"http://{host}"
        self._new = lambda: WebClient(house, address, serve=serve, host=host)

    def get(self, path: str, **headers: str) -> WebAnswer:
        """A page."""
        return self._ask("GET", path, b"", headers)

    def post(self, path: str, fields: Mapping[str, object], **headers: str) -> WebAnswer:
        """The answer to a form, with the token of the page that was seen last."""
        filled = {"token": self.token, **fields}
        said = {
            "Origin": self.origin,
            "Content-Type": "application/x-www-form-urlencoded",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        return self._ask("POST", path, urlencode(filled, doseq=True).encode(), said)

    def follow(self, answer: WebAnswer) -> WebAnswer:
        """The page that an answer leads to."""
        assert answer.status == 303, (answer.status, answer.text)
        return self.get(answer.headers["Location"].partition("#")[0])

    def log_in(self, root: str, account: str, password: str) -> WebAnswer:
        """Log in."""
        self.get(f"{root}login")
        return self.post(f"{root}login", {"account": account, "password": password})

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> WebAnswer:
        cookie = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        client = self._new()
        client.ask(method, path, body, {**({"Cookie": cookie} if cookie else {}), **headers})
        self.house.clock.pump([0.0] * TURNS)
        answer = client.answer()
        client.transport.loseConnection()
        for line in answer.headers.get_all("Set-Cookie", []):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
        if answer.headers["Content-Type"] == "text/html; charset=utf-8":
            found = _TOKEN.search(answer.text)
            self.token = found[1] if found else self.token
        return answer


class SecureBrowser(Browser):
    """A browser that comes by TLS, which ends at a proxy at 127.0.0.1 that the house trusts."""

    def __init__(self, house: House) -> None:
        super().__init__(house, ("web",), host=house.domain)
        self.origin = f"https://{house.domain}"

    def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> WebAnswer:
        proxy = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}
        return super()._ask(method, path, body, {**proxy, **headers})


def seen(answer: WebAnswer) -> str:
    """What a page says, without its tags."""
    text = re.sub(r"<(script|style)\b.*?</\1>", "", answer.text, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())
