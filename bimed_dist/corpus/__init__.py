"""Raw text to clean documents: read, normalise, drop duplicates, split sentences, hold out."""
