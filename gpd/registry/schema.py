"""Versions of the schema: made, checked and raised by the migrations in this package."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from gpd.artifacts import UserError

REVISIONS = ("0001",)  # oldest first; each has a script in migrations/versions
HEAD = REVISIONS[-1]


def get_revision(connection: Connection) -> str | None:
    """The revision of a registry; None if there is none yet."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    return None if revision is None else str(revision)


def check_revision(connection: Connection, shown: str) -> None:
    """Refuses a database that this version of gpd would misread. `shown` is how to call it.

    Raises:
        UserError: no registry there, an older or a newer one.
    """
    revision = get_revision(connection)
    if revision is None:
        raise UserError(f"{shown}: holds no registry; `gpd registry sync` makes one")
    _refuse_newer(revision, shown)
    if revision != HEAD:
        raise UserError(f"{shown}: revision {revision} is older than this gpd's ({HEAD}); run `gpd registry upgrade`")


def create_or_check(connection: Connection, shown: str) -> None:
    """Makes the registry in an empty database, checks it in another. Needs a writing transaction.

    Raises:
        UserError: the database has other tables, or a registry of another version.
    """
    if get_revision(connection) is None:
        strangers = sorted(inspect(connection).get_table_names())
        if strangers:
            raise UserError(f"{shown}: not a registry (it holds the table {strangers[0]!r}); name another database")
        migrate(connection)
    else:
        check_revision(connection, shown)


def upgrade(connection: Connection, shown: str) -> tuple[str, str]:
    """Raises an older registry to this version, keeping its rows. Returns the revisions before and after.

    Raises:
        UserError: no registry there, or a newer one.
    """
    before = get_revision(connection)
    if before is None:
        raise UserError(f"{shown}: holds no registry; `gpd registry sync` makes one")
    _refuse_newer(before, shown)
    migrate(connection)
    return before, HEAD


def migrate(connection: Connection, revision: str = "head") -> None:
    """Runs the migration scripts up to `revision` inside the connection's transaction."""
    from alembic import command  # a third of a second that questions need not pay
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _refuse_newer(revision: str, shown: str) -> None:
    if revision not in REVISIONS:
        raise UserError(f"{shown}: revision {revision} is newer than this gpd knows ({HEAD}); update gpd")
