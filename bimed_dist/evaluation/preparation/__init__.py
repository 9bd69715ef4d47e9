"""Preparation of tasks: leaks and duplicates dropped, rows limited and checked, test splits sealed."""
