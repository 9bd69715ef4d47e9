"""Raw text to clean documents: read, clean, screen, split sentences, drop duplicates, hold out."""
