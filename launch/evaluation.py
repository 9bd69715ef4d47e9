import click
from options import stage_command, state_line, summary_line

from bimed_dist.evaluation import stage


@stage_command
def main(recipe, work, dry_run):
    """Fine-tune and measure every model on every task of RECIPE."""
    click.echo(state_line("evaluation", None, work) if dry_run else summary_line(stage.run(recipe, work)))


if __name__ == "__main__":
    main()
