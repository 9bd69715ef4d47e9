"""The rules of the house over what may import what, and how long a file may be, read from the source of every file."""

import ast
import graphlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "bimed_dist"
LAUNCH = ROOT / "launch"
ENGINE_FILES = ("bimed_dist.pretraining.distributed", "bimed_dist.pretraining.cpu_operator")
LAUNCH_OPTIONS = "options"
"""The one module of launch/ that the programs share."""
TORCH_FREE = ("corpus", "vocabulary", "shards", "report", "evaluation.metrics")
# `import evaluate` and `from transformers import AutoTokenizer` load torch by themselves, so not all of them can
# promise this: a data worker, a corpus process and a report start without it.
LOADS_NO_TORCH = (
    *(
        "recipe",
        "manifest",
        "workspace",
        "references",
        "corpus",
        "vocabulary",
        "report",
        "evaluation.metrics.statistics",
    ),
    *("shards.reading", "shards.plan", "shards.masking", "shards.batches"),
)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere, inside functions too; `from a import b` counts as `a` and `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} has a relative import; write it in full"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


LIBRARY = {module_name(path): imported_names(path) for path in sorted(PACKAGE.rglob("*.py"))}
PROGRAMS = {path.stem: imported_names(path) for path in sorted(LAUNCH.glob("*.py"))}


def top(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def is_below(module: str, part: str) -> bool:
    """`part` is a subpackage (`corpus`), a module, or the stem of several (`evaluation.metrics`, `metrics_ner`)."""
    name = module.removeprefix("bimed_dist.")
    return name == part or name.startswith((part + ".", part + "_"))


def library_modules(*parts: str) -> Iterator[str]:
    yield from (module for module in LIBRARY if any(is_below(module, part) for part in parts))


def own_imports(module: str) -> set[str]:
    return {name for name in LIBRARY[module] if name in LIBRARY} - {"bimed_dist"}


def reached_from(module: str) -> set[str]:
    """Modules of the package that importing this one imports, directly or not."""
    reached, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting.extend(own_imports(current))
    return reached - {module}


def subpackage(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def test_only_launch_imports_click():
    assert [module for module, names in LIBRARY.items() if "click" in top(names)] == []


def test_only_the_engine_and_what_it_compiles_import_accelerate_and_deepspeed():
    users = [name for name, names in {**LIBRARY, **PROGRAMS}.items() if top(names) & {"accelerate", "deepspeed"}]
    assert [name for name in users if name not in ENGINE_FILES] == []


def test_parts_that_promise_it_never_import_torch():
    users = [module for module in library_modules(*TORCH_FREE) if "torch" in top(LIBRARY[module])]
    assert users == []


def test_parts_that_promise_it_reach_no_file_that_imports_torch():
    reached = {
        module: sorted(name for name in reached_from(module) if "torch" in top(LIBRARY[name]))
        for module in library_modules(*TORCH_FREE)
    }
    assert {module: users for module, users in reached.items() if users} == {}


@pytest.mark.parametrize("part", LOADS_NO_TORCH)
def test_importing_it_does_not_load_torch(part: str):
    modules = list(library_modules(part))
    assert modules or "." in part, f"there is no bimed_dist.{part}"
    code = (
        "import importlib, sys\n"
        f"for module in {modules!r}:\n"
        "    importlib.import_module(module)\n"
        "    assert 'torch' not in sys.modules, module\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_evaluation_half_knows_only_hugging_face_folders():
    crossing = {
        module: sorted(m for m in reached_from(module) if subpackage(m) in ("pretraining", "shards"))
        for module in library_modules("evaluation")
    }
    assert {module: reached for module, reached in crossing.items() if reached} == {}


def test_subpackages_do_not_import_each_other_in_a_circle():
    edges: dict[str, set[str]] = {}
    for module in LIBRARY:
        part = subpackage(module)
        edges.setdefault(part, set()).update({subpackage(name) for name in own_imports(module)} - {part})
    graphlib.TopologicalSorter(edges).prepare()  # CycleError names the circle


def test_subpackages_open_with_a_docstring_and_nothing_else():
    for path in sorted(PACKAGE.glob("*/__init__.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), f"{path} does not say what the stage does"
        assert len(tree.body) == 1, f"{path} holds more than its docstring"


def test_no_file_of_the_library_is_longer_than_400_lines():
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_program_is_named_like_a_library():
    # A script's own folder comes first on sys.path, so launch/evaluate.py would be imported in place of `evaluate`.
    installed = set(importlib.metadata.packages_distributions()) | {"wandb", "mlflow", "trackio"}
    assert sorted(set(PROGRAMS) & (installed | sys.stdlib_module_names)) == []


def test_programs_import_no_other_program():
    crossing = {name: sorted(top(names) & set(PROGRAMS) - {LAUNCH_OPTIONS, name}) for name, names in PROGRAMS.items()}
    assert {name: found for name, found in crossing.items() if found} == {}


def test_the_library_imports_neither_programs_nor_tests():
    outside = {"launch", "tests", "benchmarks"} | set(PROGRAMS)
    # A program may share its name with a stage (`corpus`), which is imported as bimed_dist.corpus.
    users = {module: sorted(top(names) & outside) for module, names in LIBRARY.items()}
    assert {module: found for module, found in users.items() if found} == {}


def test_the_rules_see_imports_inside_functions(tmp_path: Path):
    path = tmp_path / "module.py"
    path.write_text("def f():\n    import torch.nn\n    from accelerate import Accelerator\n")
    assert top(imported_names(path)) == {"torch", "accelerate"}
