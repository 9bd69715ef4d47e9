"""Corpus to bilingual WordPiece vocabulary: count words, merge, write a tokenizer, report its composition."""
