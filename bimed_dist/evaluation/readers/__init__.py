"""Benchmark files to splits of examples: sentence pairs, labelled texts, tagged words, held-out documents."""
