"""The keys that override tokens are signed with."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "signing_keys",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("begins", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seed", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Take it away; tokens that were issued are good until edges are told of other keys."""
    op.drop_table("signing_keys")
