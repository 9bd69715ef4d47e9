"""Unicode and blanks: the same text always becomes the same characters. Case, digits and units are kept."""

import re
import unicodedata

# Control and format characters, variation selectors, lone surrogates and tags: nothing that a reader would see.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"
)
# Hangul fillers are letters to Unicode, and blanks to the people who type them.
_BLANKS = re.compile("(?:[^\\S\n]|[\u3164\uffa0])+")


def clean(text: str) -> str:
    """NFC without invisible characters; blanks and tabs are one blank, line breaks are kept, empty lines are not."""
    text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    lines = (_BLANKS.sub(" ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line)


def changes_under_nfc(text: str) -> bool:
    return not unicodedata.is_normalized("NFC", text)
