"""Distributed pre-training and evaluation of bilingual medical BERT models."""

__version__ = "0.1.0"
