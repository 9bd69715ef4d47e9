"""Metrics of predictions and the statistics over seeds and rows. No torch, no files."""
