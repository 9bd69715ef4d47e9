import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import yaml
from options import run_stage, stage_command, stage_module, state_line, summary_line

from bimed_dist.errors import BimedError, ConfigError, Stopped
from bimed_dist.manifest import Outcome, read_manifest
from bimed_dist.processes import signals_handled, stopped_with_parent
from bimed_dist.references import stage_order
from bimed_dist.report.tables import main_table_text
from bimed_dist.workspace import PAGE, RESULTS, STOPPED, stage_folder

REPOSITORY = Path(__file__).resolve().parent.parent


@stage_command
@click.pass_context
def main(context, recipe, work, dry_run):
    """Run every stage of RECIPE in order; finished stages are left alone, an interrupted run continues."""
    order = stage_order(recipe)
    for number, (stage, name) in enumerate(order, start=1):
        if dry_run:
            click.echo(state_line(stage, name, work))
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
    """Check here, so that mistakes are found before processes are started; then train in processes of its own."""
    pretraining = stage_module("pretraining")
    config = accelerate_config(recipe, name)
    chosen = yaml.safe_load(config.read_text(encoding="utf-8")) if config else {"num_processes": 1}
    processes = chosen["num_processes"]
    done = pretraining.check(recipe, name, work, "auto", processes)
    if done is not None:
        return done
    program = [str(REPOSITORY / "launch" / "pretrain.py"), str(params["recipe_path"].absolute()), "--work", str(work)]
    program += ["--name", name, "--resume", "auto", *(part for o in params["overrides"] for part in ("--set", o))]
    launcher, environment = [sys.executable], dict(os.environ)
    if processes > 1 or "deepspeed_config" in chosen:  # accelerate's launcher of one process passes no signals on
        launcher += ["-m", "accelerate.commands.launch", "--config_file", str(config), "--main_process_port", "0"]
        # torchrun's own choice is one thread a process.
        environment.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // processes)))
    if config is not None and config.name.startswith("cpu"):
        environment["CUDA_VISIBLE_DEVICES"] = ""
    folder = pretraining.folder_of(name, work)
    (folder / STOPPED).unlink(missing_ok=True)  # of a launch before: this one may fail early
    code = run_and_wait([*launcher, *program], environment)
    if code and (folder / STOPPED).is_file():
        raise Stopped(f"pre-training {name} was stopped with a checkpoint; run the same command to continue")
    if code < 0:
        raise BimedError(
            f"pre-training {name} was killed by {signal.Signals(-code).name}"
            f"{', most likely for lack of memory' if code == -signal.SIGKILL else ''}; run the same command to continue"
        )
    if code:
        error = BimedError(f"pre-training {name} ended with exit code {code}; the reason is above")
        error.exit_code = code
        raise error
    return Outcome(folder, read_manifest(folder), was_done=False)


def accelerate_config(recipe, name):
    """The file that the run is launched with, or None for one process."""
    config = recipe.pretraining[name].accelerate_config
    if config is None:
        return None
    path = REPOSITORY / "ds_configs" / "accelerate" / config
    if not path.is_file():
        raise ConfigError(f"pretraining.{name}.accelerate_config: there is no {path}")
    chosen = yaml.safe_load(path.read_text(encoding="utf-8"))
    if chosen.get("num_machines", 1) > 1:
        raise ConfigError(
            f"pretraining.{name}.accelerate_config: {config} is for several machines, and this program starts "
            "processes on one; make the stages before with launch/corpus.py, vocabulary.py, shards.py and model.py, "
            "and start launch/pretrain.py on every machine (docs/multi_node.md)"
        )
    if chosen.get("deepspeed_config", {}).get("deepspeed_multinode_launcher", "standard") != "standard":
        raise ConfigError(
            f"{path}: deepspeed_multinode_launcher must be standard; the others append the whole environment, secrets "
            "included, to a file"
        )
    return path


def run_and_wait(command, environment):
    """Run a program to its end and give its exit code; it gets our signals and the time to save."""
    # Its summary line would repeat the one printed here, and DeepSpeed prints to standard output too.
    process = subprocess.Popen(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.DEVNULL, preexec_fn=stopped_with_parent()
    )
    handlers = {
        # Slurm's warning is SIGUSR1, which launchers don't pass on.
        **dict.fromkeys((signal.SIGTERM, signal.SIGUSR1), lambda *_: process.send_signal(signal.SIGTERM)),
        signal.SIGINT: signal.SIG_IGN,  # the terminal has sent it to the program too
    }
    with signals_handled(handlers):
        return process.wait()


if __name__ == "__main__":
    main()
