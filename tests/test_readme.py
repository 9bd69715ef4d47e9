"""The README is correct: its commands, recipes and paths exist.

Blocks marked `bash` are commands, `yaml` whole recipes, `python` programs that compile.
"""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bimed_dist.recipe.loading import load_recipe, parse_recipe

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
OUTPUT_FOLDERS = ("work", ".venv")
"""What running makes; not in a fresh clone."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    text = "\n".join(blocks("bash")).replace("\\\n", " ")
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def make_targets() -> set[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z]+):", makefile, flags=re.MULTILINE))


def programs() -> list[str]:
    return sorted(set(re.findall(r"\blaunch/\w+\.py\b", README)))


def test_the_first_two_commands_are_demo_and_test():
    assert commands()[:2] == [["make", "demo"], ["make", "test"]]


def test_every_make_target_exists():
    named = {words[1] for words in commands() if words[0] == "make"}
    assert named <= make_targets()
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`make (\w+)", README + contributing)) <= make_targets()


def test_commands_are_of_known_kinds():
    assert {words[0] for words in commands()} <= {
        "make",
        "python",
        "accelerate",
        "pip",
        "cd",
        "git",
        "tensorboard",
        "source",
    }


def options_given(program: str) -> set[str]:
    """Options that the README's commands give to a program."""
    after = [words[words.index(program) + 1 :] for words in commands() if program in words]
    return {word.partition("=")[0] for words in after for word in words if word.startswith("--")}


@pytest.mark.parametrize("program", programs())
def test_every_program_answers_help_and_knows_the_options_given_to_it(program: str):
    command = [sys.executable, program, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert options_given(program) <= set(re.findall(r"--[a-z-]+", done.stdout))


def test_every_path_that_is_mentioned_exists():
    mentioned = set(re.findall(r"\b(?:bimed_dist|launch|ds_configs|docs|tests|benchmarks)/[\w./-]*\w", README))
    links = {link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", README) if "://" not in link}
    missing = {path for path in mentioned | links if not (ROOT / path).exists()}
    assert {path for path in missing if not path.startswith(OUTPUT_FOLDERS)} == set()


def test_every_recipe_that_is_mentioned_is_valid():
    for path in set(re.findall(r"\blaunch/recipes/\w+\.yaml", README)):
        load_recipe(ROOT / path)


def test_recipes_that_ship_are_mentioned():
    assert [path.name for path in (ROOT / "launch" / "recipes").glob("*.yaml") if path.name not in README] == []


@pytest.mark.parametrize("text", blocks("yaml"))
def test_recipes_in_the_readme_are_valid(text: str, tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    load_recipe(path)
    assert parse_recipe(yaml.safe_load(text.replace("1e-4", "1.0e-4")), where="README").name


@pytest.mark.parametrize("text", blocks("python"))
def test_python_in_the_readme_compiles(text: str):
    ast.parse(text)


def test_the_readme_is_three_screens_long():
    assert len(README.splitlines()) <= 200
