"""Tables of plugins, each plugin with its own steps of migration."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from msgspec import json
from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    inspect,
    select,
)

from xmppd.events import Undo
from xmppd.host.clocks import wall_clock
from xmppd.store.belongings import Belongings
from xmppd.store.checks import check_integer, check_text, json_text, json_value
from xmppd.store.columns import metadata, upsert
from xmppd.store.database import Database
from xmppd.store.errors import TablesRefused
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind
from xmppd.store.migrate import UPGRADE_TIMEOUT_S, be_alone

# The tables that a plugin has made. Those with a column ``owner`` are a map in JSON, with the names
# of their columns: their rows go with an account also while the plugin is not loaded.
plugin_schemas = Table(
    "plugin_schemas",
    metadata,
    Column("plugin", Text, primary_key=True, nullable=False),
    Column("version", Integer, nullable=False),
    Column("owned", Text, nullable=False),
    sqlite_with_rowid=False,
)

_ALL: Select[str, int, str] = select(
    plugin_schemas.c.plugin, plugin_schemas.c.version, plugin_schemas.c.owned
)
_MADE: Select[int, str] = select(plugin_schemas.c.version, plugin_schemas.c.owned).where(
    plugin_schemas.c.plugin == bindparam("plugin")
)
_SAVE = upsert(plugin_schemas)
_owned_decoder = json.Decoder(dict[str, list[str]])

Step = Callable[..., object]
"""Takes the :class:`~alembic.operations.Operations` that it changes tables with."""


@dataclass(frozen=True)
class Tables:
    """The tables of a plugin.

    If there are none yet, they are made as they stand here. Tables of an older version are
    brought to this one by the steps behind it.

    Attributes:
        metadata: The tables; their names begin with the plugin's.
        steps: Each changes the tables of one version into those of the next one; a plugin that has
            never changed its tables has none. A step is never changed any more.
    """

    metadata: MetaData
    steps: tuple[Step, ...] = ()


class PluginTables(RecordStore):
    """The place of :class:`Tables`: they are made, or brought up to date, when they are put there.

    Args:
        database: Keeps them.
        belongings: Rows with an ``owner`` go with their account.
        now: Tells the time in seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        belongings: Belongings,
        now: Callable[[], float] = wall_clock,
    ) -> None:
        super().__init__(database, now)
        self._belongings = belongings
        self._may_upgrade = True

    async def open(self, *, may_upgrade: bool) -> None:
        """Find the tables that plugins have made, also plugins that are not loaded.

        Args:
            may_upgrade: Whether older tables may be changed.
        """
        self._may_upgrade = may_upgrade

        async def read() -> list[Mapping[str, list[str]]]:
            return [_owned(*row) for row in await self._database.read(_ALL, {})]

        made = await self._sound(read, (PLUGIN_SCHEMA,), {})
        owned = {name: columns for tables in made for name, columns in tables.items()}
        if owned:
            for name in await self._database.write(partial(_there, names=tuple(owned))):
                columns: list[Column[object]] = [Column(column) for column in owned[name]]
                self._belongings.add(Table(name, MetaData(), *columns))

    async def put(self, part: Tables, owner: str) -> Undo:
        """Make or migrate the tables of a plugin: all of them, or none.

        Args:
            part: The tables.
            owner: The plugin.

        Returns:
            A function that does nothing: the tables stay when the plugin goes.

        Raises:
            ValueError: A table has a name that is not the plugin's, or an owner that is no digest.
            TablesRefused: The tables are of a later version, or others than the plugin says.
            StoreError: The database cannot be used.
        """
        _check(part, owner)
        change = partial(_bring, part=part, plugin=owner, may_upgrade=self._may_upgrade)
        before = await self._database.write(change, UPGRADE_TIMEOUT_S)
        for name in before:
            self._belongings.remove(name)
        for table in _with_owner(part):
            self._belongings.add(table)
        return _leave


def _leave() -> None:
    """Do nothing: the rows of a plugin stay for when it is loaded again."""


def _check(part: Tables, plugin: str) -> None:
    for table in part.metadata.tables.values():
        if table.name != plugin and not table.name.startswith(f"{plugin}_"):
            raise ValueError(
                f"the table {table.name} must be called {plugin}, or have a name that begins with "
                f"{plugin}_"
            )
        if table.name in metadata.tables:
            raise ValueError(f"the server itself has a table {table.name}")
        if "owner" in table.c and not isinstance(table.c.owner.type, LargeBinary):
            raise ValueError(f"the owner of a row of {table.name} is not a digest of its name")


def _there(connection: Connection, names: Sequence[str]) -> list[str]:
    """Those of these tables that exist."""
    inspector = inspect(connection)
    return [name for name in names if inspector.has_table(name)]


def _with_owner(part: Tables) -> list[Table]:
    return [table for table in part.metadata.tables.values() if "owner" in table.c]


def _bring(
    connection: Connection, part: Tables, plugin: str, *, may_upgrade: bool
) -> Collection[str]:
    """Make or change the tables, and write their version; returns the names of those that had an
    owner before.
    """
    be_alone(connection)
    version = len(part.steps)
    found, before = connection.execute(_MADE, {"plugin": plugin}).one_or_none() or (None, "{}")
    if found is None:
        _check_nobodys(connection, part, plugin)
        part.metadata.create_all(connection)
    elif found > version:
        raise TablesRefused(
            f"The tables of the plugin {plugin} have version {found}, but the plugin knows only "
            f"versions up to {version}: install a newer version of the plugin."
        )
    elif found < version:
        _upgrade(connection, part, plugin, found, may_upgrade=may_upgrade)
    _check_columns(connection, part, plugin)
    owned = {str(table.name): [*map(str, table.c.keys())] for table in _with_owner(part)}
    row = {"plugin": plugin, "version": version, "owned": json_text(owned)}
    connection.execute(_SAVE.on(connection), row)
    return json_value("owned", before, _owned_decoder)


def _upgrade(
    connection: Connection, part: Tables, plugin: str, found: int, *, may_upgrade: bool
) -> None:
    if not may_upgrade:
        raise TablesRefused(
            f"The tables of the plugin {plugin} have the older version {found}: set "
            "storage.upgrade = true, and the server upgrades them."
        )
    from xmppd.store import steps

    operations = steps.operations(connection)
    for step in part.steps[found:]:
        step(operations)


def _check_nobodys(connection: Connection, part: Tables, plugin: str) -> None:
    """Refuse tables of another plugin. Without a record those that are there can only be the
    plugin's own, whose record was damaged.
    """
    for other, _, owned in connection.execute(_ALL):
        for name in json_value("owned", owned, _owned_decoder).keys() & part.metadata.tables.keys():
            if name.startswith(f"{other}_"):
                raise TablesRefused(
                    f"The plugin {plugin} and the plugin {other} both have a table {name}."
                )


def _check_columns(connection: Connection, part: Tables, plugin: str) -> None:
    """Refuse tables that do not fit the plugin's statements."""
    inspector = inspect(connection)
    for table in part.metadata.tables.values():
        there = inspector.has_table(table.name)
        names = {each["name"] for each in inspector.get_columns(table.name)} if there else set()
        wrong = names.symmetric_difference(table.c.keys())
        if wrong:
            raise TablesRefused(
                f"The columns of the table {table.name} are not those that the plugin {plugin} "
                f"declares (different: {', '.join(sorted(wrong))}): an upgrade step is missing, or "
                "somebody changed the table."
            )


def _owned(plugin: str, version: int, owned: str) -> Mapping[str, list[str]]:
    check_text("plugin", plugin)
    check_integer("version", version)
    return json_value("owned", owned, _owned_decoder)


PLUGIN_SCHEMA = Kind(
    "version of a plugin's tables",
    plugin_schemas,
    ("plugin", "version", "owned"),
    _owned,
    ("plugin",),
    {"owned": json_text({})},
)

__all__ = ["PLUGIN_SCHEMA", "PluginTables", "Step", "Tables", "plugin_schemas"]
