"""Every program of launch/ explains itself: usage and an example that works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = [path.stem for path in sorted((ROOT / "launch").glob("*.py")) if path.stem != "options"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_without_arguments_prints_usage_and_an_example_that_works(program: str, tmp_path: Path):
    result = run(f"launch/{program}.py")
    assert result.returncode == 2
    assert result.stdout == ""
    assert f"Usage: {program}.py --work DIR [OPTIONS] RECIPE" in result.stderr
    assert len(result.stderr.splitlines()) < 10
    example = result.stderr.partition("Example:\n")[2].partition("\n\n")[0]
    arguments = shlex.split(example.replace("\\\n", " "))
    script = arguments.index(f"launch/{program}.py")
    preview = run(*arguments[script:], "--dry-run", "--work", str(tmp_path / "work"))
    assert preview.returncode == 0, preview.stderr
    assert "would run" in preview.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_explains_every_option_and_ends_with_the_example(program: str):
    result = run(f"launch/{program}.py", "--help")
    assert result.returncode == 0
    assert "RECIPE" in result.stdout.split("Options:")[0].partition("\n\n")[2], "the first paragraph is missing"
    options = result.stdout.partition("Options:\n")[2].partition("\n\n")[0]
    unexplained = re.findall(r"^  (--\S+(?: \S+)?) *\n(?! {5,}\S)", options, flags=re.MULTILINE)
    assert unexplained == []
    assert f"launch/{program}.py" in result.stdout.partition("Example:\n")[2]
