import click
from options import names_to_run, run_or_tell, stage_command


@stage_command
@click.option("--name", help="Only this entry of the recipe's section.")
def main(recipe, work, dry_run, name):
    """Show what the evaluated models of RECIPE looked at, word by word. The page holds text of the test rows."""
    for entry in names_to_run(recipe, "attribution", name):
        run_or_tell("attribution", recipe, entry, work, dry_run)


if __name__ == "__main__":
    main()
