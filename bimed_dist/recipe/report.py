"""Settings of the report and of attribution, the two stages that present results."""

from typing import Annotated

from pydantic import Field

from bimed_dist.recipe.base import Name, Positive, Settings


class ReportSettings(Settings):
    """The report (HTML, Markdown, CSV tables) of all stages."""

    title: str
    """Heading of the report."""


class AttributionSettings(Settings):
    """A page that shows on which words models rely. It holds text of the test split, so it has a section of its own and
    is made by `launch/attribution.py` only."""

    task: Name
    """Entry of `evaluation.tasks`: a classification, multi-label or sentence-pair task."""
    models: Annotated[tuple[Name, ...], Field(min_length=1)] | None = None
    """Entries of `evaluation.models`, shown side by side; `null` shows all."""
    rows: Positive = 5
    """Number of test rows, chosen by a hash of their text."""
