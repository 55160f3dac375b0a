"""Tables of plugins: how far each of them is."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """No plugin had tables before."""
    op.create_table(
        "plugin_schemas",
        sa.Column("plugin", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("owned", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("plugin", name="pk_plugin_schemas"),
        sqlite_with_rowid=False,
    )
