"""The second schema as it was: the first with marks of promotions and kinds of remarks."""

import sqlalchemy as sa

from tests.registry.revisions import r0001

METADATA = sa.MetaData(naming_convention=r0001.METADATA.naming_convention)
for _table in r0001.METADATA.sorted_tables:
    _table.to_metadata(METADATA)
METADATA.tables["promotion"].append_column(sa.Column("is_protected", sa.Boolean(), nullable=False))
METADATA.tables["promotion"].append_column(sa.Column("is_forced", sa.Boolean(), nullable=False))
METADATA.tables["remark"].append_column(sa.Column("kind", sa.String(), nullable=False))
