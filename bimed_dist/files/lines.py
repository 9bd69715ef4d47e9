"""Which files a source has, and their lines as text."""

import gzip
import logging
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from bimed_dist.errors import DataError
from bimed_dist.files.problems import Problems

logger = logging.getLogger(__name__)

LONGEST_LINE = 1 << 24
"""Bytes; a longer line is no text that anybody wrote, and would not fit into memory a few times over."""
END = 1 << 62
"""End of a span that goes on to the end of its file."""
BOM = b"\xef\xbb\xbf"
_HANGUL_IN_UTF8 = tuple(b"\xea\xeb\xec\xed")


class SourceFile(NamedTuple):
    path: Path
    name: str
    """Path relative to the source's folder, with slashes; the file's name where the source is one file."""

    @property
    def zipped(self) -> bool:
        return self.path.suffix == ".gz"


class Span(NamedTuple):
    """A run of whole records of one file: bytes (after unzipping), or row groups of a columnar file."""

    file: str
    first: int
    end: int
    line: int
    """Number of the first line, or of the first row of a columnar file."""


def is_tsv(file: SourceFile) -> bool:
    return file.name.removesuffix(".gz").endswith(".tsv")


def tsv_cells(line: str) -> list[str]:
    """Cells of a line; a quote inside a cell is a character like any other, quotes around it are none of its text."""
    return [_unquoted(cell) for cell in line.rstrip("\r\n").split("\t")]


def _unquoted(cell: str) -> str:
    whole = len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in cell[1:-1].replace('""', "")
    return cell[1:-1].replace('""', '"') if whole else cell


def source_files(path: Path, endings: Sequence[str]) -> list[SourceFile]:
    """The file, or all files below the folder that have one of `endings`, sorted by name.

    Raises DataError where nothing is there or nothing fits.
    """
    wanted = " or ".join(endings)
    if path.is_file():
        if not path.name.endswith(tuple(endings)):
            raise DataError(f"{path} does not end in {wanted}; rename it, or choose another kind of source")
        return [SourceFile(path, path.name)]
    if not path.is_dir():
        raise DataError(f"{path} does not exist; check the path and the recipe's `data`")
    names = sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    fitting = [SourceFile(path / name, name) for name in names if name.endswith(tuple(endings))]
    if not fitting:
        raise DataError(f"{path} has no file that ends in {wanted}, only {len(names)} other file(s); check the path")
    if len(fitting) < len(names):
        logger.info("%s: %d file(s) do not end in %s and are not read", path, len(names) - len(fitting), wanted)
    return fitting


def stamp(path: Path) -> tuple[int, int]:
    """Size and time of change: what tells whether a file is still the one that was planned with."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DataError(f"{path} has vanished while the corpus was built; put it back and run again") from None
    return status.st_size, status.st_mtime_ns


@contextmanager
def opened(file: SourceFile) -> Iterator[BinaryIO]:
    """The bytes of a file, plain or .gz; what can't be read is a DataError."""
    try:
        with gzip.open(file.path) if file.zipped else file.path.open("rb") as stream:
            yield stream  # type: ignore[misc]
    except FileNotFoundError:
        raise DataError(f"{file.path} has vanished while the corpus was built; put it back and run again") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{file.path} can't be read to its end: {error}; copy it again") from None


def decoded_lines(
    file: SourceFile, span: Span, encoding: str, declared: bool, problems: Problems
) -> Iterator[tuple[int, str]]:
    """(number, text with its line end) of the lines of a span; a leading byte-order mark is dropped.

    A line that is not text is noted in `problems` and comes as an empty line.
    """
    for offset, number, line in raw_lines(file, span):
        place = f"{file.name}, line {number}"
        if line:
            start = len(BOM) if offset == 0 and line.startswith(BOM) else 0
            yield number, _decoded(line, start, encoding, declared, place, offset, problems)
        else:
            problems.add(place, f"longer than {LONGEST_LINE:,} bytes, so hardly text; break it into lines")
            yield number, "\n"


def raw_lines(file: SourceFile, span: Span) -> Iterator[tuple[int, int, bytes]]:
    """(offset, number, bytes with the line end) of the lines of a span; no bytes for a line above LONGEST_LINE."""
    with opened(file) as stream:
        stream.seek(span.first)
        offset, number = span.first, span.line
        while offset < span.end and (line := stream.readline(LONGEST_LINE)):
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                yield offset, number, b""
                offset += _rest_of_line(stream)
            else:
                yield offset, number, line
            offset += len(line)
            number += 1


def _rest_of_line(stream: BinaryIO) -> int:
    skipped = 0
    while line := stream.readline(LONGEST_LINE):
        skipped += len(line)
        if line.endswith(b"\n"):
            break
    return skipped


def _decoded(
    line: bytes, start: int, encoding: str, declared: bool, place: str, offset: int, problems: Problems
) -> str:
    if b"\0" in line:
        reason = "NUL byte, so no text, or UTF-16; save it as UTF-8"
        problems.add(f"{place}, byte {offset + line.index(0)}", reason)
        return "\n"
    try:
        text = line[start:].decode(encoding)
    except UnicodeDecodeError as error:
        hint = (
            "convert it (`iconv -f cp949 -t utf-8`) or say the source's `encoding`"
            if encoding == "utf-8" and not declared
            else "is the file of several encodings? Convert it to UTF-8"
        )
        problems.add(f"{place}, byte {offset + start + error.start}", f"not {encoding.upper()}; {hint}")
        return "\n"
    if encoding != "utf-8" and not declared and _is_korean_utf8(line):
        problems.add(place, f"UTF-8 in a file that is {encoding} elsewhere; convert the whole file to UTF-8")
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
