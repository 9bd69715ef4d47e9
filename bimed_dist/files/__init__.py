"""Files that people hold: lines in any encoding, csv and tsv rows, term lists, and the problems found in them."""
