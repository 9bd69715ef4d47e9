from options import run_or_tell, stage_command


@stage_command
def main(recipe, work, dry_run):
    """Write the report of RECIPE."""
    run_or_tell("report", recipe, None, work, dry_run)


if __name__ == "__main__":
    main()
