"""Reader of `metrics.jsonl`, for the run that continues it and for the report.

`pretraining/records.py` writes the file; its name is `workspace.METRICS`.
"""

import json
import logging
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a metrics file in file order, [] if there is no file.

    Each line is an object with `kind`, `step` and the numbers of its kind:
    `train`: rows_seen, loss, those of `validation.averages`, learning_rate, grad_norm, tokens_per_second,
    waiting_share;
    `validation`: those of `validation.validate`, also in by_language and by_source;
    `checkpoint`: seconds, blocked_seconds, bytes; `skipped`: epoch, rows.
    A damaged line (cut off by a crash, overwritten on a bad disk) is reported with its number and left out; the lines
    after it are kept.
    """
    if not path.is_file():
        return []
    lines = []
    for number, text in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            line = json.loads(text)
            is_whole = isinstance(line["step"], int) and isinstance(line["kind"], str)
        except (ValueError, KeyError, TypeError):
            is_whole = False
        if is_whole:
            lines.append(line)
        else:
            _log.warning("%s, line %d is damaged and left out; the other lines are kept", path, number)
    return lines
