import click
from options import names_to_run, stage_command, state_line, summary_line

from bimed_dist.model import stage


@stage_command
@click.option("--name", help="Only this entry of the recipe's section.")
def main(recipe, work, dry_run, name):
    """Make the models to train: foundations with transplanted embedding rows."""
    for entry in names_to_run(recipe, "model", name):
        click.echo(state_line("model", entry, work) if dry_run else summary_line(stage.run(recipe, entry, work)))


if __name__ == "__main__":
    main()
