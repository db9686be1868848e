"""The oldest schema whose servers can use this database."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, with its only row."""
    table = op.create_table("schema_compatibility", sa.Column("readable_since", sa.Text, primary_key=True))
    op.bulk_insert(table, [{"readable_since": revision}])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("schema_compatibility")
