"""What every launcher shares: the recipe, the work folder, overrides, and errors without tracebacks."""

import functools
import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import yaml

from bimed_dist.errors import BimedError, ConfigError
from bimed_dist.manifest import Outcome
from bimed_dist.recipe.loading import load_recipe
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.workspace import MANIFEST, stage_folder


def stage_command(function: Callable[..., None]) -> Callable[..., None]:
    """A Click command `RECIPE --work DIR [--set a.b=c] [--dry-run]` around `function(recipe, work, dry_run, ...)`."""

    @click.argument("recipe_path", metavar="RECIPE", type=click.Path(path_type=Path))
    @click.option("--work", required=True, type=click.Path(path_type=Path, file_okay=False), help="Work folder.")
    @click.option("--set", "overrides", multiple=True, metavar="A.B=C", help="Override one setting; may be repeated.")
    @click.option("--dry-run", is_flag=True, help="Print the resolved recipe and what would run.")
    @functools.wraps(function)
    def command(recipe_path: Path, work: Path, overrides: tuple[str, ...], **options: Any) -> None:
        rank = os.environ.get("RANK", "0")
        logging.basicConfig(
            level=logging.INFO if rank == "0" else logging.WARNING,
            format="%(asctime)s %(message)s" if rank == "0" else f"%(asctime)s rank {rank}: %(message)s",
            datefmt="%H:%M:%S",
            stream=sys.stderr,
        )
        logging.getLogger("httpx").setLevel(logging.WARNING)
        logging.getLogger("DeepSpeed").addFilter(lambda record: "Setting accelerator to CPU" not in record.getMessage())
        try:
            with told_once():
                recipe = load_recipe(recipe_path, overrides)
            if options["dry_run"] and rank == "0":
                click.echo(yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False))
            function(recipe=recipe, work=work.absolute(), **options)
        except BimedError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except OSError as error:
            click.echo(f"error: {error}; check that the folder exists, is writable and has room", err=True)
            sys.exit(BimedError.exit_code)

    return click.command(help=function.__doc__)(command)


@contextmanager
def told_once() -> Iterator[None]:
    """For mistakes that all processes of a launch find alike: the first one on each machine tells them.

    The others end with 0, since a launcher ends all processes as soon as one has failed, before it has spoken.
    """
    try:
        yield
    except BimedError:
        if os.environ.get("LOCAL_RANK", "0") != "0":
            sys.exit(0)
        raise


def names_to_run(recipe: Recipe, stage: str, only: str | None) -> list[str]:
    """The names of a stage's section, or the one asked for."""
    names = list(getattr(recipe, stage))
    if not names:
        raise ConfigError(f"the recipe has no section {stage}")
    if only is not None and only not in names:
        raise ConfigError(f"the recipe has no {stage}.{only}; it has {', '.join(names)}")
    return [only] if only else names


def stage_module(stage: str) -> ModuleType:
    """`bimed_dist.STAGE.stage`, imported when it is used: help and mistakes don't wait for torch."""
    return importlib.import_module(f"bimed_dist.{stage}.stage")


def run_or_tell(stage: str, recipe: Recipe, name: str | None, work: Path, dry_run: bool) -> None:
    """Run a stage and print its summary; in a dry run, only say what would run."""
    if dry_run:
        click.echo(state_line(stage, name, work))
        return
    click.echo(summary_line(run_stage(stage, recipe, name, work)))


def run_stage(stage: str, recipe: Recipe, name: str | None, work: Path) -> Outcome:
    run = stage_module(stage).run
    if stage == "corpus":
        from bimed_dist.evaluation.preparation.corpus_texts import task_texts

        return run(recipe, name, work, task_texts(recipe))
    return run(recipe, name, work) if name else run(recipe, work)


def state_line(stage: str, name: str | None, work: Path) -> str:
    """What a dry run says of a stage folder."""
    folder = stage_folder(work, stage, name)
    done = (folder / MANIFEST).is_file()
    return f"{'finished' if done else 'would run':<10} {folder}"


def summary_line(outcome: Outcome) -> str:
    """One line: stage, time, the flat counts, where."""
    manifest = outcome.manifest
    numbers = {k: v for k, v in manifest.counts.items() if isinstance(v, int | float | str) and not isinstance(v, bool)}
    counts = ", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in numbers.items())
    time = "done before" if outcome.was_done else f"{manifest.seconds:.0f} s"
    label = manifest.stage if manifest.name == manifest.stage else f"{manifest.stage}/{manifest.name}"
    return f"{label}: {time}; {counts}; {outcome.folder}"
