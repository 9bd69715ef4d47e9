"""Documents as memory-mapped token shards; epoch plans, batches and masks computed from seed and step."""
