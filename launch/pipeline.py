"""Run every stage of RECIPE in order, from text to report.

Finished stages are skipped, and an interrupted run continues if the same command is given again.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import yaml
from options import preview_line, run_stage, stage_command, stage_module, summary_line

from bimed_dist.errors import BimedError, ConfigError, Stopped
from bimed_dist.manifest import Outcome, read_manifest
from bimed_dist.processes import available_cores, signals_handled, stopped_with_parent
from bimed_dist.references import stage_order
from bimed_dist.report.sections.main_results import main_table_text
from bimed_dist.workspace import PAGE, RESULTS, STOPPED, stage_folder

REPOSITORY = Path(__file__).resolve().parent.parent


@stage_command(__doc__, "python launch/pipeline.py launch/recipes/demo.yaml --work work/demo")
@click.pass_context
def main(context, recipe, work, dry_run):
    order = stage_order(recipe)
    for number, (stage, name) in enumerate(order, start=1):
        if dry_run:
            click.echo(preview_line(stage, name, work))
            continue
        click.echo(f"[{number}/{len(order)}] {stage}{'/' + name if name else ''}")
        if stage == "pretraining":
            outcome = pretrain(recipe, name, work, context.params)
        else:
            outcome = run_stage(stage, recipe, name, work)
        click.echo(f"[{number}/{len(order)}] {summary_line(outcome)}")
    if recipe.report is not None and not dry_run:
        if recipe.evaluation is not None:
            results = json.loads((stage_folder(work, "evaluation") / RESULTS).read_text(encoding="utf-8"))
            click.echo(f"\n{main_table_text(results)}\n")
        click.echo(f"report: {stage_folder(work, 'report') / PAGE}")


def pretrain(recipe, name, work, params):
    """Check recipe and inputs in this process, so that errors appear at once; then train in new processes."""
    pretraining = stage_module("pretraining")
    config_file = accelerate_config_file(recipe, name)
    config = yaml.safe_load(config_file.read_text(encoding="utf-8")) if config_file else {"num_processes": 1}
    processes = config["num_processes"]
    finished = pretraining.check(recipe, name, work, "auto", processes)
    if finished is not None:
        return finished
    program = [str(REPOSITORY / "launch" / "pretrain.py"), str(params["recipe_path"].absolute()), "--work", str(work)]
    overrides = [word for override in params["overrides"] for word in ("--set", override)]
    program += ["--name", name, "--resume", "auto", *overrides]
    launcher, environment = [sys.executable], dict(os.environ)
    if processes > 1 or "deepspeed_config" in config:  # accelerate's one-process launcher would not forward signals
        launcher += ["-m", "accelerate.commands.launch", "--config_file", str(config_file), "--main_process_port", "0"]
        # torchrun's default is one thread per process.
        environment.setdefault("OMP_NUM_THREADS", str(max(1, available_cores() // processes)))
    if config_file is not None and config_file.name.startswith("cpu"):
        environment["CUDA_VISIBLE_DEVICES"] = ""
    folder = stage_folder(work, "pretraining", name)
    (folder / STOPPED).unlink(missing_ok=True)  # left by an earlier launch
    code = run_and_wait([*launcher, *program], environment)
    if code and (folder / STOPPED).is_file():
        raise Stopped(f"pre-training {name} was stopped and saved a checkpoint; run the same command to continue")
    if code < 0:
        raise BimedError(
            f"pre-training {name} was killed by {signal.Signals(-code).name}"
            f"{', probably for lack of memory' if code == -signal.SIGKILL else ''}; run the same command to continue"
        )
    if code:
        error = BimedError(f"pre-training {name} ended with exit code {code}; the reason is above")
        error.exit_code = code
        raise error
    return Outcome(folder, read_manifest(folder), was_done=False)


def accelerate_config_file(recipe, name):
    """Return the file that the run is launched with, or None for one process.

    Raises ConfigError if the file is missing, is for several machines, or would make DeepSpeed write secrets to a file.
    """
    file_name = recipe.pretraining[name].accelerate_config
    if file_name is None:
        return None
    path = REPOSITORY / "ds_configs" / "accelerate" / file_name
    if not path.is_file():
        raise ConfigError(f"pretraining.{name}.accelerate_config: there is no {path}")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    if config.get("num_machines", 1) > 1:
        raise ConfigError(
            f"pretraining.{name}.accelerate_config: {file_name} is for several machines, but pipeline.py starts "
            "processes on this one only; run the earlier stages with launch/corpus.py, vocabulary.py, shards.py and "
            "model.py, then start launch/pretrain.py on every machine (docs/multi_node.md)"
        )
    if config.get("deepspeed_config", {}).get("deepspeed_multinode_launcher", "standard") != "standard":
        raise ConfigError(
            f"{path}: deepspeed_multinode_launcher must be standard; the other launchers write all environment "
            "variables, secrets included, to a file"
        )
    return path


def run_and_wait(command, environment):
    """Run a program, forward signals to it, and return its exit code, which is negative if a signal killed it."""
    # Standard output is dropped: this process prints the summary itself, and DeepSpeed would write there too.
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, preexec_fn=stopped_with_parent()
    )
    handlers = {
        # Slurm warns with SIGUSR1, which launchers do not forward.
        **dict.fromkeys((signal.SIGTERM, signal.SIGUSR1), lambda *_: process.send_signal(signal.SIGTERM)),
        signal.SIGINT: signal.SIG_IGN,  # the terminal sends it to the program as well
    }
    with signals_handled(handlers):
        return process.wait()


if __name__ == "__main__":
    main()
