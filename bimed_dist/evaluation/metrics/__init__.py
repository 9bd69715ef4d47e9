"""Metrics of predictions, and statistics over seeds and items. No torch, no files."""
