"""The keys that override tokens are signed with."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "signing_keys",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("begins", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seed", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop the table; issued tokens stay valid until edges receive other keys."""
    op.drop_table("signing_keys")
