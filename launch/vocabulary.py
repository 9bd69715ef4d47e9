"""Train or extend the vocabularies of RECIPE on their corpora."""

from options import section_command

main = section_command("vocabulary", __doc__)

if __name__ == "__main__":
    main()
