"""How far a long step is: a bar with a rate in a terminal, a line now and then without one."""

import logging
import time

from tqdm import tqdm

logger = logging.getLogger(__name__)

LINE_EVERY = 30.0
"""Seconds between two lines of the log."""


class Progress:
    def __init__(self, label: str, total: int) -> None:
        """`total` is in bytes; `label` names the step."""
        self._label = label
        self._bar = tqdm(desc=label, total=total, unit="B", unit_scale=True, disable=None)
        self._total = total
        self._done = 0
        self._start = self._last_line = time.monotonic()

    def update(self, num_bytes: int) -> None:
        self._bar.update(num_bytes)
        self._done += num_bytes
        now = time.monotonic()
        if self._bar.disable and now - self._last_line >= LINE_EVERY:
            self._last_line = now
            rate = self._done / 1e6 / (now - self._start)
            logger.info("%s: %.0f of %.0f MB, %.2f MB/s", self._label, self._done / 1e6, self._total / 1e6, rate)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
