"""Splits that training and scoring may use: leaks and duplicates removed, rows limited, checked, test rows sealed."""
