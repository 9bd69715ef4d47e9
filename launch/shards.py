import click
from options import names_to_run, run_or_tell, stage_command


@stage_command
@click.option("--name", help="Only this entry of the recipe's section.")
def main(recipe, work, dry_run, name):
    """Write the token shards of RECIPE."""
    for entry in names_to_run(recipe, "shards", name):
        run_or_tell("shards", recipe, entry, work, dry_run)


if __name__ == "__main__":
    main()
