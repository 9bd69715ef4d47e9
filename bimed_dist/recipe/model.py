"""Settings of the model stage: a foundation with a new vocabulary, or a BERT with random weights."""

from typing import Literal

from pydantic import model_validator

from bimed_dist.recipe.base import Positive, Settings

EMBEDDING_ORIGINS = {
    "copied": "copied from the foundation, whose vocabulary has the token too",
    "mean": "mean of the embeddings of the foundation's tokens for the same text",
    "normal": "drawn from a normal distribution fitted to the foundation's embeddings",
    "random": "random",
}
"""How the embedding of a token was set before pre-training: the rule, with its words for model card and report."""


class Architecture(Settings):
    """The size of a BERT that starts from random weights, with the names of Hugging Face's BertConfig."""

    num_hidden_layers: Positive
    """Transformer layers."""
    hidden_size: Positive
    """Width of the hidden states, a multiple of `num_attention_heads`."""
    num_attention_heads: Positive
    """Attention heads per layer."""
    intermediate_size: Positive
    """Width of the feed-forward layers."""
    max_position_embeddings: Positive = 512
    """Longest row in tokens."""

    @model_validator(mode="after")
    def heads_divide_hidden_size(self) -> "Architecture":
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size={self.hidden_size} is not a multiple of num_attention_heads={self.num_attention_heads}"
            )
        return self


class ModelSettings(Settings):
    """The model that pre-training starts from. Set exactly one of `foundation` and `architecture`."""

    foundation: str | None = None
    """The BERT to adapt: `pretraining/NAME`, a folder, or a hub name."""
    architecture: Architecture | None = None
    """A BERT with random weights; needs a `tokenizer`."""
    tokenizer: str | None = None
    """The vocabulary: `vocabulary/NAME`, a folder, or a hub name. `null` keeps that of the foundation."""
    embedding_initialization: Literal["mean", "random"] = "mean"
    """How embeddings of tokens that the foundation lacks start: `mean` of the tokens into which its tokenizer splits
    the new one (a draw from the normal distribution of all rows if it knows none of them), or `random`, as in
    KM-BERT-vocab."""

    @model_validator(mode="after")
    def one_origin(self) -> "ModelSettings":
        if (self.foundation is None) == (self.architecture is None):
            raise ValueError("set either foundation or architecture")
        if self.architecture is not None and self.tokenizer is None:
            raise ValueError("architecture needs a tokenizer")
        return self
