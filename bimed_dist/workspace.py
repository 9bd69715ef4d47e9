"""Names of folders and files in a work folder, `WORK/STAGE/NAME/FILE`, for the stage that writes and those that read.

Imports nothing of the package, so that every module can import it.
"""

from pathlib import Path
from typing import Literal

Stage = Literal["corpus", "vocabulary", "shards", "model", "pretraining", "evaluation", "attribution", "report"]

# Every stage folder
MANIFEST = "manifest.json"
SETTINGS = "settings.json"
"""Settings and inputs of a folder that is not finished yet."""
PARTIAL = ".partial"
"""Suffix of a file or folder that is still being written."""
LOCK = ".lock"
"""Suffix of the file, next to a folder, that one process at a time locks."""

# corpus/NAME
TRAIN = "train.jsonl"
HELD_OUT = "held_out.jsonl"
SOURCE_FILES = "files.csv"
DUPLICATES = "duplicates.csv"
LEFT_OUT = "left_out.csv"
CONTAMINATION = "contamination.csv"

# vocabulary/NAME, next to the tokenizer's files
COMPOSITION = "composition.json"
FERTILITY = "fertility.json"
TERMS = "terms.csv"

# shards/NAME
SHARD_TOKENS = "tokens.json"
SHARD_TOKENIZER = "tokenizer"
PLANS = "plans"

# model/NAME, next to the files of a Hugging Face folder
ROW_ORIGINS = "origins.csv"

# pretraining/NAME
EXPORT = "export"
CHECKPOINTS = "checkpoints"
CHECKPOINT_RECORD = "MANIFEST.json"
METRICS = "metrics.jsonl"
STOPPED = "stopped.json"
PROFILE = "profile"

# evaluation
RESULTS = "results.json"
TRIALS = "trials"
CHOICE = "choice.json"
FOLDS = "folds.json"
TRIAL_WEIGHTS = "weights.partial"
"""Weights of trials that may still be tested; removed when the evaluation ends."""

# attribution/NAME and report
PAGE = "index.html"
SUMMARY = "summary.json"
REPORT_TEXT = "report.md"
REPORT_TABLES = "tables"


def stage_folder(work: Path, stage: Stage, name: str | None = None) -> Path:
    """Return the folder of a stage; `evaluation` and `report` have one folder and no name."""
    return work / stage / name if name else work / stage
