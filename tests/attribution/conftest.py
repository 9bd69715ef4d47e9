"""The tiny models and recipes of the evaluation's tests."""

import importlib.util
from pathlib import Path

# Tests are imported by path (importmode=importlib), so this module is imported by path as well.
_path = Path(__file__).parent.parent / "evaluation" / "conftest.py"
_spec = importlib.util.spec_from_file_location("evaluation_conftest", _path)
_evaluation = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_evaluation)
make_recipe, one_thread, tiny_model = _evaluation.make_recipe, _evaluation.one_thread, _evaluation.tiny_model
