<%
    body = f"{upgrades or ''} {downgrades or ''}"
    revises = [down_revision] if isinstance(down_revision, str) else down_revision or []
    quoted = lambda names: repr(names).replace("'", '"')
%>\
"""${message.rstrip(".")}.

Revision ID: ${up_revision}
Revises: ${", ".join(revises) or "nothing"}
Create Date: ${create_date.date()}
"""

% if "sa." in body:
import sqlalchemy as sa
% endif
% if "op." in body:
from alembic import op
% endif
% if imports:
${imports}
% endif
% if "op." in body:

% endif
revision = "${up_revision}"
down_revision = ${quoted(down_revision)}
% if branch_labels:
branch_labels = ${quoted(branch_labels)}
% endif
% if depends_on:
depends_on = ${quoted(depends_on)}
% endif


def upgrade() -> None:
    """Say what is added, and what happens to rows that are there already."""
    ${upgrades or "pass"}


def downgrade() -> None:
    """Say what is dropped."""
    ${downgrades or "pass"}
