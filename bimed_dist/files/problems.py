"""What is wrong with a source or a list: raised together, or left out and listed where the source says so."""

from bimed_dist.errors import DataError

LIMIT = 20


class Problems:
    """Notes of bad rows; raises DataError by itself when there are LIMIT of them, unless they are skipped.

    A note gives a place (file and line) and a reason and never quotes the text it is about.
    """

    def __init__(self, label: str, skip: bool = False) -> None:
        self._label = label
        self._skip = skip
        self.notes: list[tuple[str, str]] = []

    def add(self, place: str, reason: str) -> None:
        self.notes.append((place, reason))
        if not self._skip and len(self.notes) == LIMIT:
            self._raise("\n  (stopped here; there may be more)")

    def raise_any(self) -> None:
        if self.notes and not self._skip:
            self._raise("")

    def _raise(self, ending: str) -> None:
        lines = "\n".join(f"  {place}: {reason}" for place, reason in self.notes)
        raise DataError(f"{self._label} can't be read:\n{lines}{ending}")
