"""Read, clean, deduplicate and split the text of RECIPE's corpora."""

from options import section_command

main = section_command("corpus", __doc__)

if __name__ == "__main__":
    main()
