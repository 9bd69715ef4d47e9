"""Progress of a long step: a bar in a terminal, a log line now and then without one."""

import logging
import time

from tqdm import tqdm

_log = logging.getLogger(__name__)


class Progress:
    def __init__(
        self, label: str, total: int, unit: str, *, done: int = 0, steady: bool = True, seconds_per_line: float = 30.0
    ) -> None:
        """`label` names the step; `unit` is that of `total` and `done`, and "B" (bytes) is shown in MB.

        If `steady`, equal amounts take about equal time: the rate and the time left are shown.
        """
        self._label, self._unit, self._steady, self._seconds_per_line = label, unit, steady, seconds_per_line
        self._first = done
        self._start = self._last_line = time.monotonic()
        timing = "{elapsed}<{remaining}, {rate_fmt}" if steady else "{elapsed}"
        self._bar = tqdm(
            desc=label,
            total=total,
            initial=done,
            unit=unit if unit == "B" else f" {unit}",
            unit_scale=unit == "B",
            disable=None,
            dynamic_ncols=True,
            bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{unit} [" + timing + "{postfix}]",
        )
        # A disabled bar keeps no numbers of its own.
        self.total, self.done = total, done

    def advance(self, amount: int = 1, note: str = "") -> None:
        self.set(self.done + amount, note)

    def set(self, done: int, note: str = "", *, total: int | None = None) -> None:
        """Move to `done` of `total`; `note` is shown after the numbers."""
        self.done, self.total = done, self.total if total is None else total
        self._bar.total = self.total
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)
        if self._bar.disable and time.monotonic() - self._last_line >= self._seconds_per_line:
            self.log(f"{self._numbers()}, {note}" if note else self._numbers())

    def log(self, line: str) -> None:
        """Log a line now if there is no bar."""
        if self._bar.disable:
            _log.info("%s: %s", self._label, line)
            self._last_line = time.monotonic()

    def _numbers(self) -> str:
        done, total, unit = self.done, self.total, self._unit
        if unit == "B":
            done, total, unit = round(done / 1e6), round(total / 1e6), "MB"
        text = f"{done:,} of {total:,} {unit}"
        progressed, seconds = self.done - self._first, time.monotonic() - self._start
        if not self._steady or progressed <= 0:
            return text
        rate = progressed / seconds / (1e6 if unit == "MB" else 1)
        left = tqdm.format_interval((self.total - self.done) * seconds / progressed)
        return f"{text}, {rate:.2f} {unit}/s, about {left} left"

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._bar.close()
