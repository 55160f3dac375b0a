"""A dry run says what would come, and changes nothing (IM-1)."""

from hashlib import sha256

from sqlalchemy import MetaData, select

from tests.unit.migration.movers import MovingCase
from tests.unit.migration.sources import DOMAIN, PEOPLE, SOURCES
from xmppd.store.sql import Connection
from xmppd.testing.client import done


def everything(connection: Connection) -> dict[str, list[str]]:
    """All rows of all tables."""
    metadata = MetaData()
    metadata.reflect(connection)
    return {
        table.name: sorted(map(str, connection.execute(select(table))))
        for table in metadata.tables.values()
    }


class DryRunTests(MovingCase):
    def files(self) -> dict[str, str]:
        """What the source consists of."""
        return {
            str(path): sha256(path.read_bytes()).hexdigest()
            for path in self.directory.rglob("*")
            if path.is_file()
        }

    def check(self, source: str) -> None:
        """Neither the source nor the server is different then, whether people are there or not."""
        kind, path = SOURCES[source](self.directory)
        database = self.house.store.database
        for is_there in (False, True):
            if is_there:
                self.bring(path, kind, host=DOMAIN)
            before, rows = self.files(), done(database.write(everything))
            said = self.bring(path, kind, host=DOMAIN, dry_run=True, replace=is_there)
            would = [line for line in said if "would be imported" in line]
            self.assertGreaterEqual(len(would), PEOPLE)
            self.assertEqual(self.files(), before)
            self.assertEqual(done(database.write(everything)), rows)

    def test_ejabberd(self) -> None:
        self.check("ejabberd")

    def test_ejabberd_dump(self) -> None:
        self.check("ejabberd dump")

    def test_mongooseim(self) -> None:
        self.check("mongooseim")

    def test_openfire(self) -> None:
        self.check("openfire")

    def test_openfire_script(self) -> None:
        self.check("openfire script")

    def test_openfire_xml(self) -> None:
        self.check("openfire xml")

    def test_prosody(self) -> None:
        self.check("prosody")

    def test_prosody_database(self) -> None:
        self.check("prosody database")

    def test_xep0227(self) -> None:
        self.check("xep0227")
