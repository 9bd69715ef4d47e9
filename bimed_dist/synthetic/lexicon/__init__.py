"""Lexicon of the synthetic texts: YAML files with entries and phrases that can be edited without touching code."""
