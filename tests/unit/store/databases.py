"""Databases for tests: a file, or one made on the PostgreSQL that ``make test`` starts."""

import gc
import os
from functools import cache
from uuid import uuid4

from sqlalchemy import create_engine, make_url
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.store.contract import Asking
from xmppd.store.engine import make_file, parse_url
from xmppd.store.store import make_store


def sqlite_url(case: SynchronousTestCase) -> str:
    """A database in a file of the test's own, with nothing in it yet."""
    path = case.mktemp()
    make_file(path)
    return f"sqlite:///{path}"


def make_postgresql() -> str:
    """A new database on the server the environment names."""
    admin = os.environ.get("XMPPD_TEST_POSTGRES")
    if not admin:
        raise AssertionError("XMPPD_TEST_POSTGRES names no PostgreSQL: run `make test`.")
    name = f"xmppd_{uuid4().hex}"
    administer(f"CREATE DATABASE {name}")
    return make_url(admin).set(database=name).render_as_string(hide_password=False)


def drop_postgresql(url: str) -> None:
    """Remove what :func:`make_postgresql` made."""
    administer(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")


def administer(statement: str) -> None:
    """Run a statement on the server itself."""
    execute(os.environ["XMPPD_TEST_POSTGRES"], statement)


def execute(url: str, *statements: str) -> None:
    """Do something to a database behind the store's back."""
    engine = create_engine(parse_url(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


@cache
def collect_before(_module: str) -> None:
    """Before the first test of a module, end in the reactor's thread what servers of other tests
    were waiting for when they were dropped: ended in a database's thread, it wakes what runs there.
    """
    gc.collect()


class OnDatabase(Asking):
    """Each test has an open store at a URL."""

    url: str

    async def another_store(self) -> None:
        """Open the database anew: nothing is remembered."""
        await self.store.close()
        self.store = make_store(self.url, reactor=reactor)
        await self.store.open()


class OnSQLite(OnDatabase):
    """Each test has a file of its own."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        collect_before(type(self).__module__)
        self.url = sqlite_url(self)
        self.store = make_store(self.url, reactor=reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.store.close()))
        await self.store.open()


class OnPostgreSQL(OnDatabase):
    """Each test has a database of its own."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        collect_before(type(self).__module__)
        self.url = make_postgresql()
        self.addCleanup(drop_postgresql, self.url)
        self.store = make_store(self.url, reactor=reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.store.close()))
        await self.store.open()
