"""Pre-train one model of RECIPE (masked-LM and next-sentence prediction).

Start it with plain Python for one process, or with `accelerate launch` and a file of ds_configs/accelerate for several
processes, GPUs or machines. Run the same command with --resume auto to continue after an interruption.
"""

import importlib
import json
import os

import click
from options import is_first_rank, preview_line, selected_names, stage_command, stage_module, summary_line

from bimed_dist.errors import ConfigError
from bimed_dist.pretraining import deepspeed_config
from bimed_dist.processes import end_with_launcher

EXAMPLE = """\
accelerate launch --config_file ds_configs/accelerate/cpu.yaml \\
      launch/pretrain.py launch/recipes/demo.yaml --work work/demo --name ko-mini --resume auto"""


@stage_command(__doc__, EXAMPLE)
@click.option("--name", help="Entry of the recipe's section `pretraining`; required if it has several.")
@click.option(
    "--resume",
    type=click.Choice(["auto", "never"]),
    default="never",
    show_default=True,
    help="`auto` continues from the newest intact checkpoint, if there is one; `never` refuses to continue.",
)
@click.option(
    "--overfit", is_flag=True, help="Only check that the model can learn a few rows by heart; nothing is written."
)
def main(recipe, work, dry_run, name, resume, overfit):
    names = selected_names(recipe, "pretraining", name)
    if len(names) > 1:
        raise ConfigError(f"the recipe has several pre-training runs, {', '.join(names)}; choose one with --name")
    if dry_run:
        if is_first_rank():
            preview(recipe.pretraining[names[0]], work, names[0])
        return
    if overfit:
        losses = importlib.import_module("bimed_dist.pretraining.sanity").overfit(recipe, names[0], work)
        if is_first_rank():
            click.echo(
                f"overfitting {losses.rows} rows: masked-LM loss fell from {losses.first:.3f} to {losses.last:.3f}"
            )
        return
    outcome = stage_module("pretraining").run(recipe, names[0], work, resume)
    if is_first_rank():
        click.echo(summary_line(outcome))


def preview(settings, work, name):
    click.echo(preview_line("pretraining", name, work))
    zero_file = deepspeed_config.requested_file()
    if zero_file is not None:
        world_size = int(os.environ.get("WORLD_SIZE", "1"))
        resolved = deepspeed_config.resolve(deepspeed_config.read_zero_file(zero_file), settings, world_size)
        click.echo(f"DeepSpeed on {world_size} process(es): {json.dumps(resolved, indent=1)}")


if __name__ == "__main__":
    end_with_launcher()  # before torch is imported, which takes seconds
    main()
