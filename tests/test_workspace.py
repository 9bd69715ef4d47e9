"""Names in a work folder: each is written once, in workspace.py, and a stage folder is `WORK/STAGE/NAME`."""

import ast
from pathlib import Path

from bimed_dist import workspace

FILE_NAMES = {
    value for name, value in vars(workspace).items() if name.isupper() and isinstance(value, str) and "." in value
}


def test_no_other_module_spells_a_file_name_of_a_work_folder(root: Path):
    spelled = []
    for path in [*(root / "bimed_dist").rglob("*.py"), *(root / "launch").glob("*.py")]:
        if path.name != "workspace.py":
            strings = (
                node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)
            )
            spelled += [f"{path.name}:{node.lineno} {node.value}" for node in strings if node.value in FILE_NAMES]
    assert spelled == []


def test_stages_without_a_name_have_one_folder(tmp_path: Path):
    assert workspace.stage_folder(tmp_path, "corpus", "ko") == tmp_path / "corpus" / "ko"
    assert workspace.stage_folder(tmp_path, "evaluation") == tmp_path / "evaluation"
