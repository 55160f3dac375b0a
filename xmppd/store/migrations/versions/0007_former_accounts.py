"""Names of accounts that were removed."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Nothing is known of those that were removed before."""
    op.create_table(
        "former_accounts",
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("key", sa.Text),
        sa.PrimaryKeyConstraint("owner", name="pk_former_accounts"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_former_accounts_until", "former_accounts", ["until"])
