"""Boursomatic: price bars of two stock markets into audited BUY / HOLD / SELL advice, as Dagster assets."""
