"""Reading of input files: lines in several encodings, csv and tsv tables, term lists, and their problems."""
