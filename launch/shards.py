"""Tokenize the corpora of RECIPE into shards of token ids, which training reads."""

from options import section_command

main = section_command("shards", __doc__)

if __name__ == "__main__":
    main()
