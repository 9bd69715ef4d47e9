"""Shared by all programs of launch/: arguments, logging, errors without tracebacks, and running one stage."""

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


class Program(click.Command):
    """A command whose help ends with an example; without any argument it prints its usage and the example."""

    def __init__(self, *args: Any, example: str, **settings: Any) -> None:
        self.example = f"Example:\n  {example}"
        super().__init__(*args, epilog=f"\b\n{self.example}", options_metavar="--work DIR [OPTIONS]", **settings)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(f"{self.get_usage(ctx)}\n\n{self.example}\n\n--help explains every option.", err=True)
            ctx.exit(BimedError.exit_code)
        return super().parse_args(ctx, args)


def stage_command(help_text: str, example: str) -> Callable[[Callable[..., None]], click.Command]:
    """Make a program `RECIPE --work DIR [--set a.b=c] [--dry-run]` of `function(recipe, work, dry_run, ...)`."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @click.command(cls=Program, help=help_text, example=example)
        @click.argument("recipe_path", metavar="RECIPE", type=click.Path(path_type=Path))
        @click.option(
            "--work",
            required=True,
            metavar="DIR",
            type=click.Path(path_type=Path, file_okay=False),
            help="Work folder, where every stage writes its results.",
        )
        @click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="A.B=C",
            help="Override one setting of the recipe, such as `seed=2`; may be repeated.",
        )
        @click.option(
            "--dry-run", is_flag=True, help="Print the recipe with all defaults and the stages that would run."
        )
        @functools.wraps(function)
        def command(recipe_path: Path, work: Path, overrides: tuple[str, ...], **options: Any) -> None:
            set_up_logging()
            try:
                with reported_once():
                    recipe = load_recipe(recipe_path, overrides)
                if options["dry_run"] and is_first_rank():
                    click.echo(yaml.safe_dump(recipe.model_dump(mode="json"), allow_unicode=True, sort_keys=False))
                function(recipe=recipe, work=work.absolute(), **options)
            except BimedError as error:
                click.echo(f"error: {error}", err=True)
                sys.exit(error.exit_code)
            except OSError as error:
                click.echo(f"error: {error}; check that the folder exists, is writable and has free space", err=True)
                sys.exit(BimedError.exit_code)

        return command

    return decorate


def section_command(
    stage: str, help_text: str, example: str = "launch/recipes/demo.yaml --work work/demo"
) -> click.Command:
    """Make the program of a stage whose section in the recipe holds named entries; it runs all of them, or `--name`."""

    @stage_command(help_text, f"python launch/{stage}.py {example}")
    @click.option("--name", help=f"Run only this entry of the recipe's section `{stage}`.")
    def main(recipe: Recipe, work: Path, dry_run: bool, name: str | None) -> None:
        for entry in selected_names(recipe, stage, name):
            run_or_preview(stage, recipe, entry, work, dry_run)

    return main


def is_first_rank() -> bool:
    return os.environ.get("RANK", "0") == "0"


def set_up_logging() -> None:
    rank = os.environ.get("RANK", "0")
    logging.basicConfig(
        level=logging.INFO if is_first_rank() else logging.WARNING,
        format="%(asctime)s %(message)s" if is_first_rank() else f"%(asctime)s rank {rank}: %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("DeepSpeed").addFilter(lambda record: "Setting accelerator to CPU" not in record.getMessage())


@contextmanager
def reported_once() -> Iterator[None]:
    """Report an error that every process of a launch raises alike only in the first process of each machine.

    The other processes exit with 0: a launcher kills all processes as soon as one fails, and the first one might not
    have printed its message yet.
    """
    try:
        yield
    except BimedError:
        if os.environ.get("LOCAL_RANK", "0") != "0":
            sys.exit(0)
        raise


def selected_names(recipe: Recipe, stage: str, name: str | None) -> list[str]:
    """Return `[name]`, or the names of all entries of a stage's section if `name` is None.

    Raises ConfigError if the recipe lacks the section or the entry.
    """
    names = list(getattr(recipe, stage))
    if not names:
        raise ConfigError(f"the recipe has no section {stage}")
    if name is not None and name not in names:
        raise ConfigError(f"the recipe has no {stage}.{name}; it has {', '.join(names)}")
    return [name] if name else names


def stage_module(stage: str) -> ModuleType:
    """Import `bimed_dist.STAGE.stage`; only now, so that `--help` and errors in a recipe don't wait for torch."""
    return importlib.import_module(f"bimed_dist.{stage}.stage")


def run_or_preview(stage: str, recipe: Recipe, name: str | None, work: Path, dry_run: bool) -> None:
    """Run a stage and print its summary; in a dry run, print only whether it would run."""
    click.echo(preview_line(stage, name, work) if dry_run else summary_line(run_stage(stage, recipe, name, work)))


def run_stage(stage: str, recipe: Recipe, name: str | None, work: Path) -> Outcome:
    run = stage_module(stage).run
    if stage == "corpus":
        from bimed_dist.evaluation.preparation.corpus_texts import task_texts

        return run(recipe, name, work, task_texts(recipe))
    return run(recipe, name, work) if name else run(recipe, work)


def preview_line(stage: str, name: str | None, work: Path) -> str:
    """Return `finished FOLDER` or `would run FOLDER`, the line of a dry run."""
    folder = stage_folder(work, stage, name)
    finished = (folder / MANIFEST).is_file()
    return f"{'finished' if finished else 'would run':<10} {folder}"


def summary_line(outcome: Outcome) -> str:
    """Return one line with stage, seconds, counts and folder."""
    manifest = outcome.manifest
    numbers = {k: v for k, v in manifest.counts.items() if isinstance(v, int | float | str) and not isinstance(v, bool)}
    counts = ", ".join(f"{k} {v:,}" if isinstance(v, int) else f"{k} {v}" for k, v in numbers.items())
    time = "already finished" if outcome.was_done else f"{manifest.seconds:.0f} s"
    label = manifest.stage if manifest.name == manifest.stage else f"{manifest.stage}/{manifest.name}"
    return f"{label}: {time}; {counts}; {outcome.folder}"
