"""All runs of all models on all tasks: which is next, where it is computed, and what was stored."""
