"""Settings of the corpus stage: where text comes from, what is done to it, and on which machines."""

import codecs
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from bimed_dist.recipe.base import Below1, Name, NotNegative, Positive, Settings, Share

LineBreak = Literal["space", "sentence", "wrapped"]


class FileSource(Settings):
    name: Name
    path: str
    """A file or a folder of them, relative to the recipe's `data`."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the documents that is used, by the hash of their ids, so that one source does not drown others."""
    bad_rows: Literal["refuse", "skip"] = "refuse"
    """Whether a line or row that can't be read ends the build, or is left out, counted and listed in left_out.csv."""
    latin_language: Annotated[str, Field(pattern="^[a-z]{2}$")] = "en"
    """Language of what is in Latin script, by its two letters of ISO 639-1 (nl, ro, es): letters don't tell. Its
    abbreviations don't end a sentence."""

    @field_validator("latin_language")
    @classmethod
    def script_is_latin(cls, language: str) -> str:
        if language == "ko":
            raise ValueError("Korean is told by its script; name the language of the text in Latin script")
        return language


class EncodedSource(FileSource):
    """Files of text."""

    encoding: str = "auto"
    """`utf-8`, `cp949` (euc-kr is a part of it), ...; `auto` finds out for every file and says so in files.csv."""
    line_break: LineBreak = "space"
    """What a single line break inside a paragraph is: a blank, the end of a sentence, or (`wrapped`) a blank where the
    line is as long as its neighbours and the end of a sentence where it is shorter, as in notes and PDF text."""

    @field_validator("encoding")
    @classmethod
    def encoding_is_known(cls, name: str) -> str:
        if name == "auto":
            return name
        try:
            keeps_lines = "\n".encode(name) == b"\n" == codecs.lookup(name).decode(b"\n")[0].encode()
        except (LookupError, UnicodeError, TypeError, AttributeError):
            keeps_lines = False
        if not keeps_lines:
            raise ValueError(f"{name} is no encoding whose line ends are those of ASCII; write utf-8, cp949 or auto")
        return name


class TextSource(EncodedSource):
    """.txt files, also .gz. BRAT folders too: their .ann files are not read."""

    kind: Literal["text"]
    document: Literal["file", "paragraph", "line"] = "file"
    """What one document is. Paragraphs are separated by blank lines, pages of a file by form feeds."""


class RowSource(EncodedSource):
    """Files of rows with named fields."""

    text: Annotated[tuple[str, ...], Field(min_length=1)]
    """Fields that hold the text; each is one paragraph or more of the document."""
    id: str | None = None
    """Field that names the document; rows with the same value that follow each other become one document."""
    group: str | None = None
    """Field that names the patient, or whatever must never be on both sides of the held-out split."""


class JsonLinesSource(RowSource):
    """.jsonl files, also .gz."""

    kind: Literal["jsonl"]


class TableSource(RowSource):
    """.csv and .tsv files, also .gz, with a header line."""

    kind: Literal["table"]


class MimicSource(RowSource):
    """Notes as MIMIC-IV-Note gives them (.csv, .csv.gz): wrapped lines, and sections that become paragraphs."""

    kind: Literal["mimic"]
    text: Annotated[tuple[str, ...], Field(min_length=1)] = ("text",)
    id: str | None = "note_id"
    group: str | None = "subject_id"
    line_break: LineBreak = "wrapped"


class ColumnSource(FileSource):
    """.parquet files, or folders that `datasets` wrote with `save_to_disk`."""

    kind: Literal["parquet", "dataset"]
    text: Annotated[tuple[str, ...], Field(min_length=1)]
    id: str | None = None
    group: str | None = None
    line_break: LineBreak = "space"


class SyntheticSource(Settings):
    kind: Literal["synthetic"]
    name: Name
    documents: Positive
    languages: Annotated[tuple[Literal["ko", "en", "mixed"], ...], Field(min_length=1)] = ("ko", "en", "mixed")
    latin_language: ClassVar[str] = "en"


Source = Annotated[
    TextSource | JsonLinesSource | TableSource | MimicSource | ColumnSource | SyntheticSource,
    Field(discriminator="kind"),
]


class CleaningSettings(Settings):
    """Rules that can be switched off; each counts the documents it changed. See docs/corpus.md."""

    page_furniture: bool = True
    """Headers, footers and page numbers that recur on the pages of a file."""
    hyphenation: bool = True
    """Words that were hyphenated at the end of a line."""
    invisible: bool = True
    """Control, zero-width and other characters that nobody sees."""
    hangul_fillers: bool = True
    full_width: bool = True
    """Full-width Latin letters, digits and signs, half-width Hangul."""
    compatibility_jamo: bool = True
    """Syllables that were typed as separate letters: ㅎㅏㄴ."""
    nfc: bool = True
    blanks: bool = True
    """Runs of blanks."""


class QualitySettings(Settings):
    """Documents that break a rule are dropped and counted by rule; a rule that is none plays no part. Characters are
    those that are no blanks."""

    least_characters: NotNegative = 1
    most_characters: Positive | None = None
    most_symbols: Share | None = 0.5
    """Share of the characters that are neither letters nor digits."""
    most_repeated_lines: Share | None = 0.7
    """Share of the characters in lines that stood in the document before."""
    most_repeated_words: Share | None = 0.8
    """Share of the words in runs of five that the document holds more than once."""


class NearDuplicateSettings(Settings):
    threshold: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    """Least similarity (share of common windows of text) at which the later document is dropped."""


class PrivacySettings(Settings):
    """Identities of patients and staff. The scan promises nothing: docs/privacy.md says what it misses."""

    action: Literal["refuse", "mask", "allow"] = "refuse"
    """`refuse` builds nothing where there are too many matches, `mask` writes `[NAME]` and the like in their place,
    `allow` only counts them."""
    most_per_million: Annotated[float, Field(ge=0)] = 50.0
    """Matches per million characters that `refuse` lets pass, as false ones are found in any text."""
    most_resident_numbers: NotNegative = 0
    """Resident registration and foreigner numbers that `refuse` lets pass."""
    chart_numbers: tuple[str, ...] = ()
    """Regular expressions of the hospital's own patient numbers, applied besides the usual cues."""
    presidio: str | None = None
    """Name of an installed spaCy model (en_core_web_lg) with which Presidio looks for names in English lines. A setting
    and no matter of what is installed, so that a recipe gives the same corpus everywhere."""

    @field_validator("chart_numbers")
    @classmethod
    def patterns_compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                if re.compile(pattern).fullmatch(""):
                    raise ValueError(f"{pattern!r} matches the empty text")
            except re.error as error:
                raise ValueError(f"{pattern!r} is no regular expression ({error})") from None
        return patterns


class ContaminationSettings(Settings):
    """Text of the recipe's evaluation tasks in the corpus."""

    action: Literal["remove", "report"] = "remove"
    """`remove` takes out the sentences that are mostly text of leaked rows, and whole documents that mostly are."""
    splits: Annotated[tuple[Literal["train", "dev", "test", "external"], ...], Field(min_length=1)] = (
        "train",
        "dev",
        "test",
        "external",
    )
    row_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Least share of a row's text that a document must hold for the row to count as leaked."""


class SlurmSettings(Settings):
    """A job array for the parts of a corpus."""

    partition: str
    time: str
    """Limit of one task, as sbatch takes it: 04:00:00."""
    tasks: Positive
    """Array tasks; the parts are dealt to them."""
    workers: Positive | None = None
    """Tasks that run at once at most."""
    memory_gb: Positive = 4
    setup: str | None = None
    """Shell command before Python starts: `source /shared/venv/bin/activate`."""


class Execution(Settings):
    """Where the parts of a corpus are worked on. What comes out does not depend on it."""

    processes: Positive | None = None
    """Processes on this machine; without it one per core."""
    engine: Literal["local", "datatrove"] = "local"
    slurm: SlurmSettings | None = None
    """With datatrove: submit a Slurm job array instead of starting processes here."""

    @model_validator(mode="after")
    def slurm_needs_datatrove(self) -> "Execution":
        if self.slurm is not None and self.engine != "datatrove":
            raise ValueError("slurm needs engine: datatrove")
        return self


class CorpusSettings(Settings):
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    cleaning: CleaningSettings = CleaningSettings()
    quality: QualitySettings = QualitySettings()
    near_duplicates: NearDuplicateSettings | None = NearDuplicateSettings()
    """None keeps all documents that are not equal."""
    privacy: PrivacySettings = PrivacySettings()
    contamination: ContaminationSettings = ContaminationSettings()
    held_out_share: Below1 = 0.05
    """Share of documents, chosen by the hash of their text (of their group where there is one), never trained on."""
    execution: Execution = Execution()

    @model_validator(mode="after")
    def names_are_unique(self) -> "CorpusSettings":
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError(f"source names must be unique, found {names}")
        return self

    def what_is_computed(self) -> dict[str, Any]:
        """Everything that the output depends on."""
        return self.model_dump(mode="json", exclude={"execution"})
