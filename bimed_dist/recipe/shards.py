"""Settings of the shards stage: a corpus as token ids."""

from bimed_dist.recipe.base import Name, Positive, Settings


class ShardSettings(Settings):
    corpus: Name
    tokenizer: str
    """`vocabulary/NAME`, or a folder or hub name whose tokenizer is kept (KM-BERT, BioBERT)."""
    shard_tokens: Positive = 16_777_216
    """Tokens per shard file at most; a document is never cut."""
