"""The two files of a corpus, each document on the side that its text decides."""

import json
from pathlib import Path
from typing import Any

TRAIN = "train.jsonl"
HELD_OUT = "held_out.jsonl"


class SplitWriter:
    """Writes records to `train.jsonl` or `held_out.jsonl` in the order they come.

    Where one side stays empty and may not, it gets the record of the other side that is nearest to the border.
    """

    def __init__(self, folder: Path, held_out_share: float) -> None:
        self._folder = folder
        self._share = held_out_share
        self._files = {name: (folder / name).open("w", encoding="utf-8", newline="\n") for name in (TRAIN, HELD_OUT)}
        self._nearest: dict[str, tuple[float, int]] = {}
        self.records = {TRAIN: 0, HELD_OUT: 0}
        self.sentences = {TRAIN: 0, HELD_OUT: 0}

    def write(self, record: dict[str, Any], position: float) -> None:
        """`position` in [0, 1): below the share, the record is held out."""
        side = HELD_OUT if position < self._share else TRAIN
        distance = abs(position - self._share)
        if side not in self._nearest or distance < self._nearest[side][0]:
            self._nearest[side] = (distance, self.records[side])
        self._files[side].write(json.dumps(record, ensure_ascii=False) + "\n")
        self._count(side, record, 1)

    def __enter__(self) -> "SplitWriter":
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        for file in self._files.values():
            file.close()
        if error is None:
            self._fill_empty_side()

    def _fill_empty_side(self) -> None:
        """Training text is always needed, held-out text unless the share is 0 or there is but one record."""
        if self.records[TRAIN] == 0 and self.records[HELD_OUT] > 0:
            self._move(HELD_OUT, TRAIN)
        elif self.records[HELD_OUT] == 0 and self.records[TRAIN] > 1 and self._share > 0:
            self._move(TRAIN, HELD_OUT)

    def _move(self, source: str, target: str) -> None:
        # A side is only empty where there are few records, so rewriting the other one is cheap.
        with (self._folder / source).open(encoding="utf-8", newline="\n") as file:
            lines = file.readlines()
        line = lines.pop(self._nearest[source][1])
        for name, text in ((source, "".join(lines)), (target, line)):
            (self._folder / name).write_text(text, encoding="utf-8", newline="\n")
        record = json.loads(line)
        self._count(source, record, -1)
        self._count(target, record, 1)

    def _count(self, side: str, record: dict[str, Any], sign: int) -> None:
        self.records[side] += sign
        self.sentences[side] += sign * sum(map(len, record["paragraphs"]))
