"""Documents to memory-mapped token shards, and the arithmetic of rows: which, in what order, masked where."""
