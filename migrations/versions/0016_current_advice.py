"""What is advised now, as one view.

- `current_advice`: the active recommendations, with the instrument and the version of each. For notebooks and BI
  tools, and what the checks of freshness are about. It has the rights of whoever asks, so `app` cannot read past
  consent through it.

Revision ID: 0016
Revises: 0015
Create Date: 2026-11-29
"""

from alembic import context, op

from boursomatic_assets.database.roles import grants

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Create the view, and let the roles read it."""
    op.execute(
        """
CREATE VIEW public.current_advice WITH (security_invoker) AS
SELECT
    r.id, r.instrument_id, i.symbol, i.exchange, i.name, i.sector, r.profile, r.label, r.view, r.confidence,
    r.expected_return_pct, r.horizon_days, r.stop_loss, r.take_profit, r.justification, r.as_of, r.generated_at,
    m.version
FROM public.recommendations r
JOIN public.instruments i ON i.id = r.instrument_id
JOIN public.model_versions m ON m.id = r.model_version_id
WHERE r.is_active
"""
    )
    if not context.is_offline_mode():  # a printed migration ends with all grants, see `migrations/env.py`
        grants.apply(op.get_bind())


def downgrade() -> None:
    """Drop the view."""
    op.execute("DROP VIEW public.current_advice")
