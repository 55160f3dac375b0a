"""How long a page of the console keeps the server, with many accounts and sessions.

::

    python -m bench.console                        # beside another revision: PYTHONPATH=OTHER …
    python -m bench.console --accounts 1000 --sessions 100
    python -m bench.console --process              # the pages that only a server has which runs

A house in memory, and a browser that has logged in: each page is asked for again and again. What is
told is the least CPU time of one request, in milliseconds, and the bytes of the page; the database
answers in the same thread here, so that what it takes is in there as well. With ``--process`` it is
the mean of a server in a process of its own, with all its threads, and nobody but who looks.
"""

import cProfile
import re
from argparse import ArgumentParser
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from urllib.parse import urlencode

from msgspec.structs import replace
from sqlalchemy import Connection, insert

from bench.meter import Meter
from xmppd.store.accounts import accounts
from xmppd.store.columns import digest
from xmppd.store.engine import make_engine, parse_url
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD, House, house_config
from xmppd.testing.process import ServerProcess
from xmppd.testing.web import WebAnswer, WebClient

DOMAIN = "montague.lit"
ADMIN = f"admin@{DOMAIN}"
ROOT = "/console/"
COOKIE = "x" * 43
TURNS = 200
ROUNDS = 15
ROUNDS_OF_PROCESS = 200
"""The kernel counts hundredths of a second."""

PAGES = (
    "",
    "users",
    "sessions",
    f"user?account=user00001@{DOMAIN}",
    "groups",
    "servers",
    "nodes",
    "data",
    "audit",
    "do/",
    "do/user/list",
    "do/session/list?rows=1000",
    "find?q=user",
    f"why?owner=user00001@{DOMAIN}&watcher=user00002@{DOMAIN}",
)
PAGES_OF_PROCESS = (
    "", "server", "plugins", "numbers", "log", "certificates", "rooms", "invitations", "data",
    "configuration", "static/console.css",
)  # fmt: skip


class Looker:
    """An administrator who looks at pages of a house."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._cookie = f"xmppd={COOKIE}"
        token = house.server.visitors.form_token(COOKIE)
        body = f"account={ADMIN}&password={PASSWORD.replace(' ', '+')}&token={token}".encode()
        form = "application/x-www-form-urlencoded"
        headers = {"Content-Type": form, "Origin": "http://localhost"}
        answer = self.ask("POST", "login", body, headers)
        assert answer.status == 303, answer.text
        self._cookie = (answer.headers["Set-Cookie"] or "").partition(";")[0]

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> WebAnswer:
        """The answer to a request."""
        client = WebClient(self._house, "127.0.0.1", serve=("console",), host="localhost")
        client.ask(method, ROOT + path, body, {"Cookie": self._cookie, **(headers or {})})
        for _ in range(TURNS):
            if client.transport.value():  # type: ignore[no-untyped-call]
                break
            self._house.clock.advance(0)
        answer = client.answer()
        client.transport.loseConnection()
        return answer


class Browser:
    """An administrator who looks at pages of a server in a process.

    Args:
        port: Of the console, on this machine.
    """

    def __init__(self, port: int) -> None:
        self._server = HTTPConnection("localhost", port)
        self._headers: dict[str, str] = {}
        body = self.ask("login")
        found = re.search(r'name="token" value="([^"]+)"', body)
        assert found is not None, body
        form = urlencode({"account": ADMIN, "password": PASSWORD, "token": found[1]})
        self._headers["Origin"] = f"http://localhost:{port}"
        self._headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.ask("login", "POST", form)

    def ask(self, path: str, method: str = "GET", body: str | None = None) -> str:
        """The page at a path."""
        self._server.request(method, ROOT + path, body, self._headers)
        answer = self._server.getresponse()
        text = answer.read().decode()
        assert answer.status < 400, (path, answer.status, text)
        cookie = answer.headers.get("Set-Cookie")
        if cookie is not None:
            self._headers["Cookie"] = cookie.partition(";")[0]
        return text


def rows_of(people: int) -> list[dict[str, object]]:
    """So many accounts."""
    names = [f"user{number:05}@{DOMAIN}" for number in range(people)]
    return [
        {
            "owner": digest(name), "account": name, "domain": digest(DOMAIN),
            "created": 0.0, "disabled": False,
        }
        for name in names
    ]  # fmt: skip


def of_process(people: int, rounds: int) -> None:
    """Measure the pages of a server in a process."""
    listen = {"endpoint": "epoll:0:interface=127.0.0.1", "kind": "http", "tls": "none"}
    with TemporaryDirectory(prefix="xmppd-console-", dir="/tmp") as directory:
        server = ServerProcess(
            Path(directory), DOMAIN, admins=[ADMIN], listen=[{**listen, "serve": ["console"]}]
        )
        with server:
            server.add_user("admin", PASSWORD)
        [path] = Path(directory).rglob("*.sqlite")
        engine = make_engine(parse_url(f"sqlite:///{path}"))
        with engine.begin() as connection:
            connection.execute(insert(accounts), rows_of(people))
        engine.dispose()
        with server:
            browser, meter = Browser(server.ports("http")[0]), Meter([server.pid])
            for page in PAGES_OF_PROCESS:
                text = browser.ask(page)
                began = meter.server_cpu_s()
                for _ in range(rounds):
                    browser.ask(page)
                took_s = (meter.server_cpu_s() - began) / rounds
                print(f"| {ROOT}{page} | {took_s * 1_000:.2f} | {len(text.encode())} |")


def furnish(people: int, sessions: int) -> House:
    """A house with so many accounts, of which so many are here."""
    house = House(DOMAIN, config=replace(house_config(DOMAIN), admins=(ADMIN,)))
    house.add("admin")
    done(house.server.passwords.set_password(ADMIN, PASSWORD))

    def fill(connection: Connection) -> None:
        connection.execute(insert(accounts), rows_of(people))

    done(house.store.database.write(fill))
    for number in range(sessions):
        house.bind(f"user{number:05}", "orchard")
    return house


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--profile", default="", help="a page of which is told where its time goes")
    parser.add_argument("--process", action="store_true", help="the pages of one that runs")
    given = parser.parse_args(arguments)
    if given.process:
        print("| page | ms | bytes |\n|---|---|---|")
        of_process(given.accounts, ROUNDS_OF_PROCESS)
        return
    looker = Looker(furnish(given.accounts, given.sessions))
    if given.profile:
        looker.ask("GET", given.profile)
        with cProfile.Profile() as profile:
            for _ in range(given.rounds):
                looker.ask("GET", given.profile)
        profile.print_stats("tottime")
        return
    print("| page | ms | bytes |\n|---|---|---|")
    for page in PAGES:
        best = float("inf")
        for _ in range(given.rounds):
            began = process_time()
            answer = looker.ask("GET", page)
            best = min(best, process_time() - began)
        assert answer.status == 200, (page, answer.status)
        print(f"| {ROOT}{page} | {best * 1_000:.2f} | {len(answer.body)} |")


if __name__ == "__main__":
    main()
