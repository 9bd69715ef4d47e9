"""Scores and records to one self-contained HTML page, Markdown and CSV."""
