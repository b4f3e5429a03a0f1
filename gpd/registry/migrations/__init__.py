"""Every revision of the schema, as Alembic scripts."""
