"""Settings of the report and of attribution, the two stages that present results."""

from typing import Annotated

from pydantic import Field

from bimed_dist.recipe.base import Name, Positive, Settings


class ReportSettings(Settings):
    title: str


class AttributionSettings(Settings):
    """Heatmaps show text of the test split, so that only a section of its own and `launch/attribution.py` make them."""

    task: Name
    """An entry of `evaluation.tasks`: texts with labels or classes, or pairs with scores."""
    models: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """Entries of `evaluation.models` to show beside each other; none means all."""
    rows: Positive = 5
    """Test rows, the first by hash."""
