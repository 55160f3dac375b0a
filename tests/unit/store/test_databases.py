"""A test that needs PostgreSQL fails where there is none, and says what to do."""

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.store.databases import make_postgresql


class MissingTests(SynchronousTestCase):
    def test_missing(self) -> None:
        """Nothing is skipped in silence."""
        environment = dict(os.environ)
        environment.pop("XMPPD_TEST_POSTGRES", None)
        self.patch(os, "environ", environment)
        with self.assertRaisesRegex(AssertionError, "make test"):
            make_postgresql()
