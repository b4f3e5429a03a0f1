"""Run by Alembic for `gpd.registry.schema`, on the connection and in the transaction that it was handed.

A new revision: the tables changed, a script in versions/ that changes those of the one before, its number in
`schema.REVISIONS`, and in tests/registry/revisions/ its schema and an export of a registry of it.
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
