"""Run by Alembic for `gpd.registry.schema.migrate`, on the connection and in the transaction that it was handed.

A new revision: a file in versions/ after the pattern of the last one, its number in `schema.REVISIONS`, and an export
of a registry of that revision in tests/registry/revisions/.
"""

from alembic import context

from gpd.registry.columns import Record

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Record.metadata,
    render_as_batch=True,  # SQLite alters a table by making a new one
)
with context.begin_transaction():
    context.run_migrations()
