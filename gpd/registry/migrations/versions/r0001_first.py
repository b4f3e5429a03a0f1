"""The first schema. New databases are made from `gpd.registry.tables`; a script here raises those of the one before."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing: no registry is older."""
