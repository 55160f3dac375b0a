"""How long a page of the console keeps the server, with many accounts and sessions.

::

    python -m bench.console                        # beside another revision: PYTHONPATH=OTHER …
    python -m bench.console --accounts 1000 --sessions 100

A house in memory, and a browser that has logged in: each page is asked for again and again. What is
told is the least CPU time of one request, in milliseconds, and the bytes of the page; the database
answers in the same thread here, so that what it takes is in there as well.
"""

import cProfile
from argparse import ArgumentParser
from collections.abc import Sequence
from time import process_time

from msgspec.structs import replace
from sqlalchemy import Connection, insert

from xmppd.store.accounts import accounts
from xmppd.store.columns import digest
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD, House, house_config
from xmppd.testing.web import WebAnswer, WebClient

DOMAIN = "montague.lit"
ADMIN = f"admin@{DOMAIN}"
ROOT = "/console/"
COOKIE = "x" * 43
TURNS = 200
ROUNDS = 15
PAGES = (
    "",
    "users",
    "sessions",
    f"user?account=user00001@{DOMAIN}",
    "groups",
    "audit",
    "do/",
    "do/session/list?rows=1000",
)


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


def furnish(people: int, sessions: int) -> House:
    """A house with so many accounts, of which so many are here."""
    house = House(DOMAIN, config=replace(house_config(DOMAIN), admins=(ADMIN,)))
    house.add("admin")
    done(house.server.passwords.set_password(ADMIN, PASSWORD))
    names = [f"user{number:05}@{DOMAIN}" for number in range(people)]
    rows = [
        {
            "owner": digest(name), "account": name, "domain": digest(DOMAIN),
            "created": 0.0, "disabled": False,
        }
        for name in names
    ]  # fmt: skip

    def fill(connection: Connection) -> None:
        connection.execute(insert(accounts), rows)

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
    given = parser.parse_args(arguments)
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
