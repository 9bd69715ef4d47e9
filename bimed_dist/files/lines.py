"""Files of a source, their lines as text, and the problems found in them."""

import gzip
import logging
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bimed_dist.errors import DataError

logger = logging.getLogger(__name__)

LONGEST_LINE = 1 << 24
"""Bytes. A longer line is hardly text, and memory would not hold several copies of it."""
END = 1 << 62
"""End of a span that reaches the end of its file."""
BOM = b"\xef\xbb\xbf"
MAX_PROBLEMS = 20
_HANGUL_IN_UTF8 = tuple(b"\xea\xeb\xec\xed")


class Problems:
    """Problems of a source or task, each with its place (file and line) and a reason that never quotes text.

    Raises DataError by itself after MAX_PROBLEMS of them, unless it is `collect_only`.
    """

    def __init__(self, label: str = "", collect_only: bool = False) -> None:
        self._label = label
        self._collect_only = collect_only
        self.notes: list[tuple[str, str]] = []

    def add(self, place: str, reason: str) -> None:
        self.notes.append((place, reason))
        if not self._collect_only and len(self.notes) == MAX_PROBLEMS:
            self._raise("\n  (stopped here; there may be more)")

    def raise_any(self) -> None:
        if self.notes and not self._collect_only:
            self._raise("")

    def lines(self) -> list[str]:
        return [f"{place}: {reason}" for place, reason in self.notes]

    def _raise(self, ending: str) -> None:
        lines = "\n".join(f"  {line}" for line in self.lines())
        raise DataError(f"{self._label} can't be read:\n{lines}{ending}")


class SourceFile(NamedTuple):
    path: Path
    name: str
    """Path relative to the source's folder, with slashes; the file's name if the source is one file."""

    @property
    def zipped(self) -> bool:
        return self.path.suffix == ".gz"

    def place(self, line: int) -> str:
        return f"{self.name} line {line}"


class Span(NamedTuple):
    """A run of whole records of one file: bytes (after unzipping), or row groups of a columnar file."""

    file: str
    first: int
    end: int
    line: int
    """Number of the first line, or of the first row of a columnar file."""


def source_files(path: Path, endings: Sequence[str]) -> list[SourceFile]:
    """Return the file, or all files below the folder that have one of `endings`, sorted by name.

    Raises DataError if the path does not exist or no file has such an ending.
    """
    listed = " or ".join(endings)
    if path.is_file():
        if not path.name.endswith(tuple(endings)):
            raise DataError(f"{path} does not end in {listed}; rename it, or choose another kind of source")
        return [SourceFile(path, path.name)]
    if not path.is_dir():
        raise DataError(f"{path} does not exist; check the path and the recipe's `data`")
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    fitting = [SourceFile(path / name, name) for name in names if name.endswith(tuple(endings))]
    if not fitting:
        raise DataError(f"{path} has no file that ends in {listed}, only {len(names)} other file(s); check the path")
    if len(fitting) < len(names):
        logger.info("%s: %d file(s) do not end in %s and are not read", path, len(names) - len(fitting), listed)
    return fitting


def stamp(path: Path) -> tuple[int, int]:
    """Return size and modification time, by which a file that changed since it was surveyed is recognised."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise removed(path) from None
    return status.st_size, status.st_mtime_ns


@contextmanager
def opened(file: SourceFile) -> Iterator[BinaryIO]:
    """Open a plain or .gz file for reading bytes. Raises DataError if it is missing or damaged."""
    try:
        with gzip.open(file.path) if file.zipped else file.path.open("rb") as stream:
            yield stream  # type: ignore[misc]
    except FileNotFoundError:
        raise removed(file.path) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{file.path} can't be read to its end: {error}; copy it again") from None


def removed(path: Path) -> DataError:
    return DataError(f"{path} was removed while the stage ran; restore it and run again")


def decoded_lines(
    file: SourceFile, span: Span, encoding: str, declared: bool, problems: Problems
) -> Iterator[tuple[int, str]]:
    """Yield (number, text with its line end) for the lines of a span, without a leading byte-order mark.

    A line that is not text is added to `problems` and yielded as an empty line.
    """
    for offset, number, line in raw_lines(file, span):
        if line:
            yield number, _decoded(file, offset, number, line, encoding, declared, problems)
        else:
            reason = f"longer than {LONGEST_LINE:,} bytes, which is not a line of text; break it into lines"
            problems.add(file.place(number), reason)
            yield number, "\n"


def raw_lines(file: SourceFile, span: Span) -> Iterator[tuple[int, int, bytes]]:
    """Yield (offset, number, bytes with the line end) for the lines of a span; no bytes if above LONGEST_LINE."""
    with opened(file) as stream:
        stream.seek(span.first)
        offset, number = span.first, span.line
        while offset < span.end and (line := stream.readline(LONGEST_LINE)):
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                yield offset, number, b""
                offset += _skip_line(stream)
            else:
                yield offset, number, line
            offset += len(line)
            number += 1


def _skip_line(stream: BinaryIO) -> int:
    """Skip the rest of a line. Returns its bytes."""
    skipped = 0
    while line := stream.readline(LONGEST_LINE):
        skipped += len(line)
        if line.endswith(b"\n"):
            break
    return skipped


def _decoded(
    file: SourceFile, offset: int, number: int, line: bytes, encoding: str, declared: bool, problems: Problems
) -> str:
    start = len(BOM) if offset == 0 and line.startswith(BOM) else 0
    if b"\0" in line:
        place = f"{file.place(number)}, byte {offset + line.index(0)}"
        problems.add(place, "NUL byte, so it is not text, or it is UTF-16; save the file as UTF-8")
        return "\n"
    try:
        text = line[start:].decode(encoding)
    except UnicodeDecodeError as error:
        hint = (
            "convert it (`iconv -f cp949 -t utf-8`) or set the source's `encoding`"
            if encoding == "utf-8" and not declared
            else "does the file mix encodings? Convert it to UTF-8"
        )
        place = f"{file.place(number)}, byte {offset + start + error.start}"
        problems.add(place, f"not {encoding.upper()}; {hint}")
        return "\n"
    if encoding != "utf-8" and not declared and _is_korean_utf8(line):
        problems.add(
            file.place(number), f"UTF-8 in a file that is {encoding} elsewhere; convert the whole file to UTF-8"
        )
        return "\n"
    return text


def _is_korean_utf8(line: bytes) -> bool:
    # Lead bytes of Hangul in UTF-8; cp949 text that is valid UTF-8 by chance has none of them.
    if not any(lead in line for lead in _HANGUL_IN_UTF8):
        return False
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def read_lines(path: Path, encoding: str = "utf-8") -> list[str]:
    r"""Return the lines of a file, plain or .gz, without line ends and byte-order mark.

    Only line feeds (and CR LF) end a line: `str.splitlines` would cut texts at U+2028. Raises DataError if the file is
    missing or holds lines that are not text.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist; check the path and the recipe's `data`")
    file = SourceFile(path, path.name)
    problems = Problems(str(path))
    whole = Span(file.name, 0, END, 1)
    lines = [
        line.removesuffix("\n").removesuffix("\r") for _, line in decoded_lines(file, whole, encoding, True, problems)
    ]
    problems.raise_any()
    return lines
