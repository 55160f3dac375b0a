"""Looks into a database without a server on it; nothing is made or changed."""

from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import inspect

from xmppd.store.accounts import accounts as accounts_table
from xmppd.store.accounts import exists
from xmppd.store.engine import database_errors, make_engine, parse_url


def missing_accounts(url: str, accounts: Iterable[str]) -> list[str]:
    """Those of these accounts, as bare JIDs, that a database does not have; all if it is empty.

    It is not asked if there are none.

    Raises:
        StoreError: It is unreachable.
    """
    accounts = tuple(accounts)
    parsed = parse_url(url)
    if not accounts:
        return []
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return list(accounts)
    engine = make_engine(parsed)
    try:
        with database_errors(parsed), engine.connect() as connection:
            if not inspect(connection).has_table(accounts_table.name):
                return list(accounts)
            return [account for account in accounts if not exists(connection, account)]
    finally:
        engine.dispose()


__all__ = ["missing_accounts"]
