"""Messages that wait say from which count on the client of a session has them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Two columns more; and a saved session is not kept once it was taken up."""
    op.add_column("offline_messages", sa.Column("session", sa.LargeBinary))
    op.add_column("offline_messages", sa.Column("position", sa.BigInteger))
    op.drop_column("sessions", "taken")
