"""A registry of this version: made, checked, opened, and raised from an older one by the migrations in this package."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlmodel import Session

from gpd.artifacts import UserError
from gpd.registry.columns import Record
from gpd.registry.engine import make_engine, must_exist, reading, registry_url, shown, writing
from gpd.registry.hook import CHANGES, run_hook

REVISIONS = ("0001", "0002")  # oldest first; each has a script in migrations/versions
HEAD = REVISIONS[-1]


@dataclass(frozen=True)
class Upgraded:
    """The revisions of a registry before and after."""

    before: str
    after: str


@contextmanager
def open_registry(url: str | None = None, *, writes: bool = False) -> Iterator[Session]:
    """A session on an existing registry of this version; committed when the block ends well and `writes` is true.

    If an alias has changed by then, the hook runs (`gpd.registry.hook`).

    Raises:
        UserError: no registry there, of another version, locked, read-only, broken, no driver.
    """
    parsed = registry_url(url)
    must_exist(parsed)
    with (writing if writes else reading)(make_engine(parsed)) as connection:
        check_revision(connection)
        with Session(connection, join_transaction_mode="rollback_only") as session:
            yield session
            session.flush()
            changes = session.info.get(CHANGES, [])
    for change in changes:
        run_hook({**change, "registry": shown(parsed)})


def create_or_check(connection: Connection) -> None:
    """Makes the registry in an empty database, checks it in another. Needs a writing transaction.

    Raises:
        UserError: the database has other tables, or a registry of another version.
    """
    strangers = sorted(inspect(connection).get_table_names())
    if "alembic_version" in strangers:
        check_revision(connection)
    elif strangers:
        where = shown(connection.engine.url)
        raise UserError(f"{where}: not a registry (it holds the table {strangers[0]!r}); name another database")
    else:
        Record.metadata.create_all(connection)
        _alembic(connection, "stamp")


def check_revision(connection: Connection, *, may_be_older: bool = False) -> str:
    """The revision of a registry that this version of gpd reads.

    Raises:
        UserError: no registry there, a newer one, or an older one.
    """
    where = shown(connection.engine.url)
    if not inspect(connection).has_table("alembic_version"):
        raise UserError(f"{where}: holds no registry; `gpd registry sync` makes one")
    revision = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    if revision not in REVISIONS:
        raise UserError(f"{where}: revision {revision} is newer than this gpd knows ({HEAD}); update gpd")
    if revision != HEAD and not may_be_older:
        raise UserError(f"{where}: revision {revision} is older than this gpd's ({HEAD}); run `gpd registry upgrade`")
    return revision


def upgrade(url: str | None = None) -> Upgraded:
    """Raises an older registry to this version, keeping its rows.

    Raises:
        UserError: no registry there, or a newer one.
    """
    parsed = registry_url(url)
    must_exist(parsed)
    with writing(make_engine(parsed)) as connection:
        before = check_revision(connection, may_be_older=True)
        _alembic(connection, "upgrade")
    return Upgraded(before, HEAD)


def _alembic(connection: Connection, command: str) -> None:
    """Runs Alembic's `upgrade` or `stamp` up to the last revision, inside the connection's transaction."""
    import alembic.command  # a third of a second that questions need not pay
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.attributes["connection"] = connection
    getattr(alembic.command, command)(config, "head")
