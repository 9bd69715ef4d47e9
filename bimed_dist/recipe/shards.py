"""Settings of the shards stage: a corpus as token ids."""

from bimed_dist.recipe.base import Name, Positive, Settings


class ShardSettings(Settings):
    """A corpus encoded with one tokenizer."""

    corpus: Name
    """Corpus of this recipe to encode."""
    tokenizer: str
    """`vocabulary/NAME`, or a folder or hub name if the foundation's tokenizer is kept (KM-BERT, BioBERT)."""
    shard_tokens: Positive = 16_777_216
    """Largest number of tokens in a shard file; a document is never split, so a longer one is a file of its own."""
