import click
from options import names_to_run, stage_command, state_line, summary_line

from bimed_dist.corpus import stage
from bimed_dist.evaluation.corpus_texts import task_texts


@stage_command
@click.option("--name", help="Only this entry of the recipe's section.")
def main(recipe, work, dry_run, name):
    """Read, clean and split the corpora of RECIPE."""
    for entry in names_to_run(recipe, "corpus", name):
        if dry_run:
            click.echo(state_line("corpus", entry, work))
        else:
            click.echo(summary_line(stage.run(recipe, entry, work, task_texts(recipe))))


if __name__ == "__main__":
    main()
