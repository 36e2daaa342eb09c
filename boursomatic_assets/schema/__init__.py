"""The tables."""

from boursomatic_assets.schema.models import *  # noqa
