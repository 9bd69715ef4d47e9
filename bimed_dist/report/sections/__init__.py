"""The sections of the report, one file each: its text, its facts and its tables."""
