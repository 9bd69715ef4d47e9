"""Evaluation: benchmark files and Hugging Face folders -> validated splits -> grid of trials on the development split
-> choice -> test scores -> statistics -> results.json.
"""
