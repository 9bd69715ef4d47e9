import click
from options import stage_command, state_line, summary_line

from bimed_dist.report import stage


@stage_command
def main(recipe, work, dry_run):
    """Write the report of RECIPE."""
    click.echo(state_line("report", None, work) if dry_run else summary_line(stage.run(recipe, work)))


if __name__ == "__main__":
    main()
