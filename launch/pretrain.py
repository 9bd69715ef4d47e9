import importlib
import json
import os

import click
from options import names_to_run, stage_command, stage_module, state_line, summary_line

from bimed_dist.errors import ConfigError
from bimed_dist.pretraining import deepspeed_config
from bimed_dist.processes import end_with_launcher


@stage_command
@click.option("--name", help="Which entry of the recipe's section; needed where it has several.")
@click.option("--resume", type=click.Choice(["auto", "never"]), default="never", show_default=True)
@click.option("--overfit", is_flag=True, help="Only see whether a few rows over and over are learned; writes nothing.")
def main(recipe, work, dry_run, name, resume, overfit):
    """Pre-train one model of RECIPE; run by `accelerate launch` or by plain python."""
    names = names_to_run(recipe, "pretraining", name)
    if len(names) > 1:
        raise ConfigError(f"the recipe has several runs, {', '.join(names)}; choose one with --name")
    rank = os.environ.get("RANK", "0")
    if dry_run and rank == "0":
        show(recipe.pretraining[names[0]], work, names[0])
    if dry_run:
        return
    if overfit:
        losses = importlib.import_module("bimed_dist.pretraining.sanity").overfit(recipe, names[0], work)
        if rank == "0":
            click.echo(
                f"{losses.rows} rows over and over: loss of masked words {losses.first:.3f} to {losses.last:.3f}"
            )
        return
    outcome = stage_module("pretraining").run(recipe, names[0], work, resume)
    if rank == "0":
        click.echo(summary_line(outcome))


def show(settings, work, name):
    click.echo(state_line("pretraining", name, work))
    zero_file = deepspeed_config.requested_file()
    if zero_file is not None:
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        resolved = deepspeed_config.resolve(deepspeed_config.read_zero_file(zero_file), settings, world_size)
        click.echo(f"DeepSpeed on {world_size} process(es): {json.dumps(resolved, indent=1)}")


if __name__ == "__main__":
    end_with_launcher()  # before torch is imported, which takes many seconds
    main()
