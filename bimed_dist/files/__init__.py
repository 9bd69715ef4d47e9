"""Input files: lines in several encodings, csv and tsv tables, term lists, documents, and their problems."""
