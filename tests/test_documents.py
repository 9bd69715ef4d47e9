"""Commands, options, recipes, paths and links in README.md, CONTRIBUTING.md and docs/ are correct and up to date.

Blocks marked `bash` are commands, `python` programs that compile, `yaml` whole recipes if they begin with `name:`.
"""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bimed_dist.recipe.loading import load_recipe

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
}
README = DOCUMENTS["README.md"]
OUTPUT_FOLDERS = ("work", ".venv")
"""Folders that running the programs creates; a fresh clone lacks them."""


def blocks(language: str, document: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", DOCUMENTS[document], flags=re.MULTILINE | re.DOTALL)


def all_blocks(language: str) -> list[str]:
    return [block for document in DOCUMENTS for block in blocks(language, document)]


def commands(document: str) -> list[list[str]]:
    lines = "\n".join(blocks("bash", document)).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := line.partition("#")[0].split())]


def program_options() -> dict[str, set[str]]:
    """Return the options that the documents pass to each program of launch/."""
    options: dict[str, set[str]] = {}
    for words in (words for document in DOCUMENTS for words in commands(document)):
        for i, word in enumerate(words):
            if re.fullmatch(r"launch/\w+\.py", word):
                given = {option.partition("=")[0] for option in words[i + 1 :] if option.startswith("--")}
                options.setdefault(word, set()).update(given)
    return options


def test_the_first_two_commands_of_the_readme_are_demo_and_test():
    assert commands("README.md")[:2] == [["make", "demo"], ["make", "test"]]


def test_the_readme_is_three_screens_long():
    assert len(README.splitlines()) <= 200


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    text = "\n".join(DOCUMENTS.values())
    used = set(re.findall(r"`make ([a-z-]+)", text)) | set(re.findall(r"^make ([a-z-]+)", text, flags=re.MULTILINE))
    assert used and used <= targets


@pytest.mark.parametrize("program", sorted(program_options()))
def test_every_program_has_the_options_that_are_passed_to_it(program: str):
    command = [sys.executable, program, "--help"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    assert program_options()[program] <= set(re.findall(r"--[a-z-]+", result.stdout))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_and_link_exists(document: str):
    text = DOCUMENTS[document]
    paths = set(re.findall(r"\b(?:bimed_dist|launch|ds_configs|docs|tests|benchmarks)/[\w./-]*\w", text))
    links = {link for link in re.findall(r"\]\(([^)#]+)[^)]*\)", text) if "://" not in link}
    missing = {path for path in paths if "NAME" not in path and not (ROOT / path).exists()}
    missing |= {link for link in links if not (ROOT / document).parent.joinpath(link).exists()}
    assert {path for path in missing if not path.startswith(OUTPUT_FOLDERS)} == set()


def test_every_test_that_is_named_exists():
    files = list((ROOT / "tests").rglob("test_*.py"))
    known = {name for path in files for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)}
    known |= {path.stem for path in files}
    named = {name for text in DOCUMENTS.values() for name in re.findall(r"`(test_\w+)", text)}
    assert named and named - known == set()


def test_every_link_to_a_heading_leads_to_one(generator: ModuleType):
    headings = {
        name: {generator.anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)}
        for name, text in DOCUMENTS.items()
    }
    for document, text in DOCUMENTS.items():
        for target, heading in re.findall(r"\]\(([\w./]*\.md)#([^)]+)\)", text):
            path = (ROOT / document).parent.joinpath(target).resolve().relative_to(ROOT).as_posix()
            assert heading in headings[path], f"{document}: {target}#{heading}"


def test_every_recipe_that_is_mentioned_is_valid():
    for path in set(re.findall(r"\blaunch/recipes/\w+\.yaml", "\n".join(DOCUMENTS.values()))):
        load_recipe(ROOT / path)


def test_the_readme_mentions_every_recipe():
    assert [path.name for path in (ROOT / "launch" / "recipes").glob("*.yaml") if path.name not in README] == []


@pytest.mark.parametrize("text", [block for block in all_blocks("yaml") if block.startswith("name:")])
def test_recipes_in_documents_are_valid(text: str, tmp_path: Path):
    path = tmp_path / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    load_recipe(path)


@pytest.mark.parametrize("text", all_blocks("python"))
def test_python_in_documents_compiles(text: str):
    ast.parse(text)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_documents_are_up_to_date(generator: ModuleType):
    pages = {"docs/settings.md": generator.settings_page(), "docs/map.md": generator.map_page()}
    assert [name for name, page in pages.items() if DOCUMENTS[name] != page] == [], "run `make docs`"


def test_the_reference_holds_every_setting_and_its_links_lead_to_sections(generator: ModuleType):
    page = generator.settings_page()
    for definition in generator.DEFINITIONS.values():
        assert all(f"| `{name}`" in page for name in definition["properties"] if name not in ("kind", "mode"))
    anchors = {generator.anchor(heading) for heading in re.findall(r"^#+ (.+)$", page, flags=re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", page)) <= anchors


def test_the_map_has_a_sentence_for_every_module(generator: ModuleType):
    entries = re.findall(r"^\* \[[\w.]+\]\(([^)]+)\):(.*)$", generator.map_page(), flags=re.MULTILINE)
    files = [path for folder in generator.MAPPED_FOLDERS for path in (ROOT / folder).rglob("*.py")]
    assert len(entries) == sum(path.name != "__init__.py" for path in files)
    assert [path for path, sentence in entries if not sentence.strip()] == []
