from options import run_or_tell, stage_command


@stage_command
def main(recipe, work, dry_run):
    """Fine-tune and measure every model on every task of RECIPE."""
    run_or_tell("evaluation", recipe, None, work, dry_run)


if __name__ == "__main__":
    main()
