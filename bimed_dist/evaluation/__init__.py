"""Evaluation: benchmark files and Hugging Face folders -> validated splits -> grid of fine-tunings scored on
development -> choice -> test scores -> statistics -> results.json."""
