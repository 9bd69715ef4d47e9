"""Which modules may import which, and how long files may be, checked on the source of every file."""

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
ENGINE_FILES = tuple(f"bimed_dist.pretraining.{name}" for name in ("distributed", "cpu_operator", "trackers"))
LAUNCH_OPTIONS = "options"
"""Module of launch/ that all programs share."""
TORCH_FREE = ("corpus", "vocabulary", "shards", "report", "evaluation.metrics")
# Corpus processes, data workers and the report start without loading torch, not even through a library. The other
# torch-free parts import `evaluate` or `transformers.AutoTokenizer`, which load it.
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
    """Return all names that a file imports, also inside functions; `from a import b` gives `a` and `a.b`."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} uses a relative import; import from bimed_dist instead"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


LIBRARY = {module_name(path): imported_names(path) for path in sorted(PACKAGE.rglob("*.py"))}
PROGRAMS = {path.stem: imported_names(path) for path in sorted(LAUNCH.glob("*.py"))}


def top(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def is_below(module: str, part: str) -> bool:
    """Return whether a module belongs to `part`: a package, a module, or the common prefix of several modules."""
    name = module.removeprefix("bimed_dist.")
    return name == part or name.startswith((part + ".", part + "_"))


def library_modules(*parts: str) -> Iterator[str]:
    yield from (module for module in LIBRARY if any(is_below(module, part) for part in parts))


def own_imports(module: str) -> set[str]:
    return {name for name in LIBRARY[module] if name in LIBRARY} - {"bimed_dist"}


def reached_from(module: str) -> set[str]:
    """Return the modules of the package that a module imports, directly or indirectly."""
    reached, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting.extend(own_imports(current))
    return reached - {module}


def subpackage(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def test_the_library_does_not_import_click():
    assert [module for module, names in LIBRARY.items() if "click" in top(names)] == []


def test_only_the_engine_files_import_accelerate_and_deepspeed():
    users = [name for name, names in {**LIBRARY, **PROGRAMS}.items() if top(names) & {"accelerate", "deepspeed"}]
    assert [name for name in users if name not in ENGINE_FILES] == []


def test_torch_free_parts_do_not_import_torch():
    users = [module for module in library_modules(*TORCH_FREE) if "torch" in top(LIBRARY[module])]
    assert users == []


def test_torch_free_parts_reach_no_module_that_imports_torch():
    reached = {
        module: sorted(name for name in reached_from(module) if "torch" in top(LIBRARY[name]))
        for module in library_modules(*TORCH_FREE)
    }
    assert {module: users for module, users in reached.items() if users} == {}


@pytest.mark.parametrize("part", LOADS_NO_TORCH)
def test_importing_this_part_does_not_load_torch(part: str):
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


def test_evaluation_reaches_neither_pretraining_nor_shards():
    crossing = {
        module: sorted(m for m in reached_from(module) if subpackage(m) in ("pretraining", "shards"))
        for module in library_modules("evaluation")
    }
    assert {module: reached for module, reached in crossing.items() if reached} == {}


def test_packages_have_no_import_cycle():
    edges: dict[str, set[str]] = {}
    for module in LIBRARY:
        part = subpackage(module)
        edges.setdefault(part, set()).update({subpackage(name) for name in own_imports(module)} - {part})
    graphlib.TopologicalSorter(edges).prepare()  # CycleError lists the packages of the cycle


def test_modules_have_no_import_cycle():
    edges = {}
    for module in LIBRARY:
        imports = own_imports(module) - {module}
        # `from package import module` gives both; only the module counts.
        edges[module] = {name for name in imports if not any(other.startswith(f"{name}.") for other in imports)}
    graphlib.TopologicalSorter(edges).prepare()  # CycleError lists the modules of the cycle


def test_the_init_file_of_a_package_holds_a_docstring_and_nothing_else():
    for path in sorted(PACKAGE.glob("*/__init__.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), f"{path} has no docstring"
        assert len(tree.body) == 1, f"{path} holds more than a docstring"


def test_no_file_of_the_library_has_more_than_400_lines():
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_no_program_has_the_name_of_an_installed_package():
    # A script's folder comes first on sys.path, so launch/evaluate.py would be imported instead of `evaluate`.
    installed = set(importlib.metadata.packages_distributions()) | {"wandb", "mlflow", "trackio"}
    assert sorted(set(PROGRAMS) & (installed | sys.stdlib_module_names)) == []


def test_programs_do_not_import_each_other():
    imports = {name: sorted(top(names) & set(PROGRAMS) - {LAUNCH_OPTIONS, name}) for name, names in PROGRAMS.items()}
    assert {name: programs for name, programs in imports.items() if programs} == {}


def test_the_library_imports_neither_programs_nor_tests_nor_benchmarks():
    outside = {"launch", "tests", "benchmarks"} | set(PROGRAMS)
    # `corpus` is launch/corpus.py; the stage of that name is imported as bimed_dist.corpus.
    users = {module: sorted(top(names) & outside) for module, names in LIBRARY.items()}
    assert {module: names for module, names in users.items() if names} == {}


def test_imports_inside_functions_are_checked(tmp_path: Path):
    path = tmp_path / "module.py"
    path.write_text("def f():\n    import torch.nn\n    from accelerate import Accelerator\n")
    assert top(imported_names(path)) == {"torch", "accelerate"}
