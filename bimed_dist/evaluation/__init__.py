"""Hugging Face folders to scores: fine-tuning on tasks, intrinsic measures, statistics."""
