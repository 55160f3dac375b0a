"""Accounts and rosters made directly in an xmppd's store, where the protocol takes too long."""

from collections.abc import Mapping
from itertools import islice

from xmppd.auth.keys import make_keys, prepare_password
from xmppd.store import accounts
from xmppd.store.belongings import Belongings
from xmppd.store.engine import make_engine, parse_url
from xmppd.store.rosters import RosterItem, save_items

SCRAM_ITERATIONS = 4_096
ACCOUNTS_PER_TRANSACTION = 500


def fill(url: str, password: str, rosters: Mapping[str, list[str]]) -> None:
    """Make those accounts that do not exist, all with one password and one salt.

    Args:
        url: Of the database, with its tables; a server may run on it.
        password: Of all accounts.
        rosters: By bare JID the mutual contacts, as bare JIDs.
    """
    engine = make_engine(parse_url(url))
    keys = make_keys(prepare_password(password), SCRAM_ITERATIONS)
    belongings = Belongings()
    remaining = iter(rosters.items())
    while some := list(islice(remaining, ACCOUNTS_PER_TRANSACTION)):
        with engine.begin() as connection:
            for account, contacts in some:
                if accounts.exists(connection, account):
                    continue
                accounts.create(connection, account, keys, 0.0, belongings)
                items = [RosterItem(contact, subscription="both") for contact in contacts]
                save_items(connection, account, items)
    engine.dispose()
