"""Steps from the tables of one version to those of the next one, which Alembic takes.

This is the one import of Alembic. It takes as long as a tenth of the server, so whoever has a step
to take imports this module then: most starts have none.
"""

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def knows(scripts: str, revision: str) -> bool:
    """Whether one of the steps leads to a revision.

    Args:
        scripts: The directory of the steps.
        revision: Of tables.
    """
    known = ScriptDirectory.from_config(_config(scripts))
    return any(script.revision == revision for script in known.walk_revisions())


def take(connection: Connection, scripts: str) -> None:
    """Take all steps that are missing, and note the revision they lead to.

    Args:
        connection: With a transaction.
        scripts: The directory of the steps.
    """
    config = _config(scripts)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def operations(connection: Connection) -> Operations:
    """What a step of a plugin changes tables with."""
    return Operations(MigrationContext.configure(connection))


def _config(scripts: str) -> Config:
    config = Config()
    config.set_main_option("script_location", scripts)
    config.set_main_option("path_separator", "os")
    return config


__all__ = ["Operations", "knows", "operations", "take"]
