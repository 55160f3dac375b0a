"""People move here from an Openfire, log in with the old password, and find it all."""

from pathlib import Path

from sqlalchemy import make_url

from tests.integration.openfire import as_script, in_database
from tests.integration.sql_sources import url_file
from tests.integration.test_moving import DOMAIN, PASSWORD, MovingCase
from tests.mariadb_server import MariaProcess
from tests.unit.store.databases import drop_postgresql, make_postgresql


class FromOpenfireTests(MovingCase):
    """Whose passwords are keys of SCRAM, encrypted, or in clear."""

    def assert_all_come(self, source: Path) -> None:
        said = self.bring("openfire", source)
        self.assertEqual([line for line in said if "but" in line], [])
        self.assertIn("not imported: rooms: 1", said)
        self.check()
        self.assertIn("It's \\u0041\n\N{GRINNING FACE}".encode(), self.written("romeo"))

    def test_script(self) -> None:
        """The script of the database that it brings, which HSQLDB has written."""
        self.assert_all_come(as_script(self.directory, DOMAIN, PASSWORD).parent)

    def test_postgresql(self) -> None:
        """PostgreSQL."""
        url = make_postgresql()
        self.addCleanup(drop_postgresql, url)
        in_database(make_url(url).set(drivername="postgresql+psycopg"), DOMAIN, PASSWORD)
        self.assert_all_come(url_file(self.directory, url))

    def test_mariadb(self) -> None:
        """MariaDB, which is MySQL to its clients."""
        maria = MariaProcess()
        self.addCleanup(maria.stop)
        url = maria.start().url
        in_database(make_url(url).set(drivername="mysql+pymysql"), DOMAIN, PASSWORD)
        self.assert_all_come(url_file(self.directory, url))
