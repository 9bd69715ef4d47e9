"""Settings of the model stage: a foundation with a new vocabulary, or a BERT with random weights."""

from typing import Literal

from pydantic import model_validator

from bimed_dist.recipe.base import Positive, Settings


class Architecture(Settings):
    """A BERT trained from random weights."""

    layers: Positive
    width: Positive
    heads: Positive
    feed_forward: Positive
    positions: Positive = 512

    @model_validator(mode="after")
    def heads_divide_width(self) -> "Architecture":
        if self.width % self.heads:
            raise ValueError(f"width={self.width} is not a multiple of heads={self.heads}")
        return self


class ModelSettings(Settings):
    foundation: str | None = None
    """`pretraining/NAME`, a folder or a hub name. Exactly one of `foundation` and `architecture` is given."""
    architecture: Architecture | None = None
    tokenizer: str | None = None
    """`vocabulary/NAME`, a folder or a hub name; without it the foundation's vocabulary is kept."""
    new_rows: Literal["mean", "random"] = "mean"
    """How rows for pieces that the foundation lacks are made: mean of the old tokenizer's pieces (normal where these
    are unknown), or random normal (KM-BERT-vocab)."""

    @model_validator(mode="after")
    def one_origin(self) -> "ModelSettings":
        if (self.foundation is None) == (self.architecture is None):
            raise ValueError("give either foundation or architecture")
        if self.architecture is not None and self.tokenizer is None:
            raise ValueError("architecture needs a tokenizer")
        return self
