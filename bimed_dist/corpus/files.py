"""Which files a source has, and their lines as text."""

import gzip
import logging
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bimed_dist.corpus.problems import Problems
from bimed_dist.errors import DataError

logger = logging.getLogger(__name__)

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class SourceFile:
    path: Path
    name: str
    """Path relative to the source's folder, with slashes; the file's name where the source is one file."""


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


def decoded_lines(file: SourceFile, problems: Problems) -> Iterator[str]:
    """Lines of a UTF-8 file, plain or .gz, with their line ends; a leading byte-order mark is dropped.

    A line that is not text is noted in `problems` and comes as an empty line, so that line numbers stay right.
    """
    offset = 0
    opened = gzip.open if file.path.suffix == ".gz" else open
    try:
        with opened(file.path, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                start = len(_BOM) if number == 1 and line.startswith(_BOM) else 0
                yield _decoded(line, start, f"{file.name}, line {number}", offset, problems)
                offset += len(line)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file.path} can't be read after {offset} bytes of text: {error}; copy it again") from None


def _decoded(line: bytes, start: int, place: str, offset: int, problems: Problems) -> str:
    if b"\0" in line:
        problems.add(f"{place}, byte {offset + line.index(0)}: NUL byte, so no text, or UTF-16; save it as UTF-8")
        return "\n"
    try:
        return line[start:].decode("utf-8")
    except UnicodeDecodeError as error:
        problems.add(f"{place}, byte {offset + start + error.start}: not UTF-8; convert it (`iconv -f cp949 -t utf-8`)")
        return "\n"
