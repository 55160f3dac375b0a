"""What is seen in a database without a server on it."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from xmppd.store.accounts import create
from xmppd.store.belongings import Belongings
from xmppd.store.engine import make_engine, parse_url
from xmppd.store.look import missing_accounts
from xmppd.store.migrate import prepare

ROMEO, JULIET = "romeo@montague.lit", "juliet@montague.lit"


class MissingAccountsTests(SynchronousTestCase):
    def test_missing_accounts(self) -> None:
        """What is missing, where there is no database, an empty one, or one of others."""
        path = Path(self.mktemp()).absolute()
        url = f"sqlite:///{path}"
        self.assertEqual(missing_accounts(url, (ROMEO, JULIET)), [ROMEO, JULIET])
        self.assertFalse(path.exists())
        path.touch()
        self.assertEqual(missing_accounts(url, (ROMEO, JULIET)), [ROMEO, JULIET])
        engine = make_engine(parse_url(url))
        self.addCleanup(engine.dispose)
        prepare(engine, upgrade=True)
        with engine.begin() as connection:
            create(connection, ROMEO, [], 1.0, Belongings())
        self.assertEqual(missing_accounts(url, (ROMEO, JULIET)), [JULIET])

    def test_nobody(self) -> None:
        """Whoever asks for nobody needs no database."""
        self.assertEqual(missing_accounts("postgresql://nobody@127.0.0.1:1/nothing", ()), [])
