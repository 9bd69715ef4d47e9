"""Recipes: one YAML file with a section per stage, checked as a whole before anything runs."""
