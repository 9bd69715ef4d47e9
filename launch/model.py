"""Make the models that RECIPE pre-trains: a foundation with a new vocabulary, or a BERT with random weights."""

from options import section_command

main = section_command("model", __doc__)

if __name__ == "__main__":
    main()
