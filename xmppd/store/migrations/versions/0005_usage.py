"""How much an account keeps is counted as it changes; and messages say whose share they are of."""

from string import Template

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

# The database counts, so that nothing that adds or removes a row can forget to. A later step that
# makes one of these tables anew has to make its triggers anew, too.
_FILL = """
INSERT INTO usage (owner, share, count, bytes)
    SELECT owner, $all, count(*), sum(size) FROM $table GROUP BY owner
"""
_SQLITE = (
    _FILL,
    """
CREATE TRIGGER count_${name}_in AFTER INSERT ON $table BEGIN
    INSERT INTO usage (owner, share, count, bytes)
        SELECT NEW.owner, share, 1, NEW.size FROM ($new) WHERE share IS NOT NULL
        ON CONFLICT (owner, share)
        DO UPDATE SET count = count + 1, bytes = bytes + excluded.bytes;
END
""",
    """
CREATE TRIGGER count_${name}_changed AFTER UPDATE OF size ON $table BEGIN
    UPDATE usage SET bytes = bytes + NEW.size - OLD.size
        WHERE owner = NEW.owner AND share IN ($new);
END
""",
    """
CREATE TRIGGER count_${name}_out AFTER DELETE ON $table BEGIN
    UPDATE usage SET count = count - 1, bytes = bytes - OLD.size
        WHERE owner = OLD.owner AND share IN ($old);
    DELETE FROM usage WHERE owner = OLD.owner AND count <= 0 AND share IN ($old);
END
""",
)
_POSTGRESQL = (
    _FILL,
    """
CREATE FUNCTION count_$name() RETURNS trigger LANGUAGE plpgsql AS $$$$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO usage AS known (owner, share, count, bytes)
            SELECT NEW.owner, share, 1, NEW.size FROM ($new) AS shares WHERE share IS NOT NULL
            ON CONFLICT (owner, share) DO UPDATE
            SET count = known.count + 1, bytes = known.bytes + excluded.bytes;
    ELSIF TG_OP = 'UPDATE' THEN
        UPDATE usage SET bytes = bytes + NEW.size - OLD.size
            WHERE owner = NEW.owner AND share IN ($new);
    ELSE
        UPDATE usage SET count = count - 1, bytes = bytes - OLD.size
            WHERE owner = OLD.owner AND share IN ($old);
        DELETE FROM usage WHERE owner = OLD.owner AND count <= 0 AND share IN ($old);
    END IF;
    RETURN NULL;
END
$$$$
""",
    """
CREATE TRIGGER count_$name AFTER INSERT OR DELETE OR UPDATE OF size ON $table
    FOR EACH ROW EXECUTE FUNCTION count_$name()
""",
)


def upgrade() -> None:
    """Count what is there; who sent the messages among it is not known."""
    op.create_table(
        "usage",
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("share", sa.LargeBinary, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner", "share", name="pk_usage"),
        sqlite_with_rowid=False,
    )
    op.add_column("offline_messages", sa.Column("sender", sa.LargeBinary))
    op.add_column("offline_messages", sa.Column("sender_domain", sa.LargeBinary))
    _count("messages", "offline_messages", "sender", "sender_domain")
    _count("items", "items")


def _count(name: str, table: str, *shares: str) -> None:
    """Have the database count the rows of a table, for each owner and for each of its shares."""
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    everything = f"x'{name.encode().hex()}'" if sqlite else f"'{name}'::bytea"

    def shares_of(row: str) -> str:
        columns = " ".join(f"UNION ALL SELECT {row}.{share}" for share in shares)
        return f"SELECT {everything} AS share {columns}"

    words = {"name": name, "table": table, "all": everything}
    for statement in _SQLITE if sqlite else _POSTGRESQL:
        text = Template(statement).substitute(words, new=shares_of("NEW"), old=shares_of("OLD"))
        connection.exec_driver_sql(text)
