"""The encoding of a file: declared, UTF-8 if the whole file is, or detected by charset-normalizer (MIT)."""

import codecs
import logging
from typing import NamedTuple

from charset_normalizer import from_bytes

from bimed_dist.files.lines import LONGEST_LINE, SourceFile, opened

logger = logging.getLogger(__name__)

_KOREAN = ("cp949", "euc_kr", "johab")
_RIVALS = ("utf_8", "cp1252", "iso8859_2", "shift_jis", "gb18030")
_SAMPLE_BYTES = 1 << 18
"""Bytes of lines that are not ASCII from which the encoding is detected."""
_GUESSED_BYTES = 1 << 16


class Encoding(NamedTuple):
    name: str
    declared: bool


def find_encoding(file: SourceFile, declared: str) -> Encoding:
    """Return the declared encoding; for `auto`, UTF-8 or cp949, whichever fits most of the lines that are not ASCII.

    Other encodings must be declared, because a wrong guess among Western ones would go unnoticed. Lines that do not fit
    are reported when they are read.
    """
    if declared != "auto":
        return Encoding(declared, True)
    if _is_utf8(file):
        return Encoding("utf-8", False)
    utf8_lines, sample = _sample(file)
    fitting = [line for line in sample if _decodes(line, "cp949")]
    if utf8_lines < len(sample) < 2 * len(fitting):
        best = from_bytes(b"".join(fitting)[:_GUESSED_BYTES], cp_isolation=[*_KOREAN, *_RIVALS]).best()
        if best is not None and best.encoding in ("cp949", "euc_kr"):
            logger.info("%s is read as cp949", file.path)
            return Encoding("cp949", False)
    return Encoding("utf-8", False)


def _is_utf8(file: SourceFile) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with opened(file) as stream:
        try:
            while block := stream.read(1 << 20):
                if not block.isascii() or decoder.getstate()[0]:
                    decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True


def _sample(file: SourceFile) -> tuple[int, list[bytes]]:
    """Return (number of UTF-8 lines, the other lines) among the first lines that are not ASCII."""
    utf8_lines, other_lines, room = 0, [], _SAMPLE_BYTES
    with opened(file) as stream:
        while room > 0 and (line := stream.readline(LONGEST_LINE)):
            if line.isascii():
                continue
            room -= len(line)
            if _decodes(line, "utf-8"):
                utf8_lines += 1
            else:
                other_lines.append(line)
    return utf8_lines, other_lines


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
