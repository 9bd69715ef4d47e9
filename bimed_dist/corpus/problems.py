"""What is wrong with one source, collected and raised together."""

from bimed_dist.errors import DataError

LIMIT = 20


class Problems:
    """Notes of bad rows; raises DataError by itself when there are LIMIT of them.

    A note gives file, line and reason and never quotes the text it is about.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._notes: list[str] = []

    def add(self, note: str) -> None:
        self._notes.append(note)
        if len(self._notes) == LIMIT:
            self._notes.append("(stopped here; there may be more)")
            self.raise_any()

    def raise_any(self) -> None:
        if self._notes:
            raise DataError(f"source {self._source} can't be read:\n" + "\n".join(f"  {note}" for note in self._notes))
