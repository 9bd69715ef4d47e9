"""Settings of the corpus stage: where text comes from, what is done to it, and on which machines."""

import codecs
import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from bimed_dist.recipe.base import Below1, Name, NotNegative, Positive, Settings, Share

LineBreak = Literal["space", "sentence", "wrapped"]


class FileSource(Settings):
    """Files of documents."""

    name: Name
    """Name of the source in documents, counts and tables."""
    path: str
    """A file or a folder of files, relative to the recipe's `data`."""
    share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the documents to use, chosen by the hash of their ids, so that a large source does not dominate."""
    bad_rows: Literal["refuse", "skip"] = "refuse"
    """`refuse` stops the build at lines or rows that can't be read; `skip` leaves them out, counts them and lists them
    in left_out.csv."""
    latin_language: Annotated[str, Field(pattern="^[a-z]{2}$")] = "en"
    """Language of the text in Latin script, as ISO 639-1 code (en, nl, ro, es). It is not detected. Sentences are split
    by the rules of this language."""

    @field_validator("latin_language")
    @classmethod
    def script_is_latin(cls, language: str) -> str:
        if language == "ko":
            raise ValueError("Korean is recognised by its script; give the language of the text in Latin script")
        return language


class EncodedSource(FileSource):
    """Files of text."""

    encoding: str = "auto"
    """Encoding of the files: `utf-8`, `cp949` (includes euc-kr), ... `auto` detects UTF-8 or cp949 for each file and
    records it in files.csv; other encodings must be named."""
    line_break: LineBreak = "space"
    """Meaning of a single line break inside a paragraph: `space`, the end of a `sentence`, or `wrapped`: a space if the
    next word would not have fitted into the line, otherwise the end of a sentence (notes, text from PDF)."""

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
            raise ValueError(f"{name} is unknown or not based on ASCII (UTF-16); use utf-8, cp949 or auto")
        return name


class TextSource(EncodedSource):
    """.txt and .txt.gz files, also of BRAT folders (their .ann files are not read)."""

    kind: Literal["text"]
    document: Literal["file", "paragraph", "line"] = "file"
    """Unit that becomes one document. Blank lines separate paragraphs, form feeds the pages of a file."""


class RowSource(EncodedSource):
    """Files of rows with named fields."""

    text: Annotated[tuple[str, ...], Field(min_length=1)]
    """Fields that hold the text; each becomes one or more paragraphs of the document."""
    id: str | None = None
    """Field with the document's id; consecutive rows with the same id become one document. `null`: every row is a
    document, named by file and line."""
    group: str | None = None
    """Field with the patient (or hospital, ...); all documents of a group are on the same side of the held-out split.
    `null`: every document is a group of its own."""


class JsonLinesSource(RowSource):
    """.jsonl and .jsonl.gz files."""

    kind: Literal["jsonl"]


class TableSource(RowSource):
    """.csv and .tsv files with a header line, also .gz."""

    kind: Literal["table"]


class MimicSource(RowSource):
    """Notes in the layout of MIMIC-IV-Note (.csv, .csv.gz): wrapped lines, and sections that become paragraphs."""

    kind: Literal["mimic"]
    text: Annotated[tuple[str, ...], Field(min_length=1)] = ("text",)
    """Columns that hold the text."""
    id: str | None = "note_id"
    """Column with the document's id."""
    group: str | None = "subject_id"
    """Column with the patient; all notes of a patient are on the same side of the held-out split."""
    line_break: LineBreak = "wrapped"
    """Meaning of a single line break, as for text files."""


class ColumnSource(FileSource):
    """.parquet files, or folders written by `save_to_disk` of Hugging Face datasets (`dataset`)."""

    kind: Literal["parquet", "dataset"]
    text: Annotated[tuple[str, ...], Field(min_length=1)]
    """Columns that hold the text."""
    id: str | None = None
    """Column with the document's id; `null`: every row is a document, named by file and row."""
    group: str | None = None
    """Column with the patient; `null`: every document is a group of its own."""
    line_break: LineBreak = "space"
    """Meaning of a single line break, as for text files."""


DocumentKind = Literal["note", "article", "report", "leaflet"]


class SyntheticSource(Settings):
    """Clinical notes, reports and articles from the built-in generator. They contain no patient data."""

    kind: Literal["synthetic"]
    name: Name
    """Name of the source in documents, counts and tables."""
    documents: Positive
    """Documents to generate."""
    languages: Annotated[tuple[Literal["ko", "en", "mixed"], ...], Field(min_length=1)] = ("ko", "en", "mixed")
    """Languages of the documents, in turn."""
    kinds: Annotated[tuple[DocumentKind, ...], Field(min_length=1)] = ("note", "article", "report", "leaflet")
    """Kinds of the documents: clinical notes, medical articles, chest CT reports, drug leaflets; drawn at random with
    the weights 55, 24, 15 and 6."""
    latin_language: ClassVar[str] = "en"


Source = Annotated[
    TextSource | JsonLinesSource | TableSource | MimicSource | ColumnSource | SyntheticSource,
    Field(discriminator="kind"),
]


class CleaningSettings(Settings):
    """Cleaning rules; `false` switches one off. The manifest counts the documents that each has changed."""

    page_furniture: bool = True
    """Remove headers, footers and page numbers that recur on the pages of a file."""
    hyphenation: bool = True
    """Join words that were hyphenated at the end of a line."""
    invisible: bool = True
    """Remove control, zero-width and other invisible characters."""
    hangul_fillers: bool = True
    """Replace Hangul filler characters, which look like spaces, by spaces."""
    full_width: bool = True
    """Replace full-width Latin letters, digits and signs and half-width Hangul by the usual characters."""
    compatibility_jamo: bool = True
    """Compose syllables that were typed as separate letters (ㅎㅏㄴ to 한)."""
    nfc: bool = True
    """Normalize to Unicode NFC. Files from macOS often hold decomposed Hangul."""
    whitespace: bool = True
    """Replace runs of spaces and tabs by one space."""


class QualitySettings(Settings):
    """Documents that break a rule are dropped, and counted by rule. Whitespace is not counted as characters."""

    min_characters: NotNegative = 1
    """Smallest number of characters of a document."""
    max_characters: Positive | None = None
    """Largest number of characters of a document; `null`: no limit."""
    max_symbol_share: Share | None = 0.5
    """Largest share of characters that are neither letters nor digits; `null` disables the rule."""
    max_repeated_line_share: Share | None = 0.7
    """Largest share of characters in lines that repeat an earlier line of the document; `null` disables the rule."""
    max_repeated_word_share: Share | None = 0.8
    """Largest share of words in runs of five words that the document holds more than once; `null` disables the rule."""


class NearDuplicateSettings(Settings):
    """Documents that nearly repeat an earlier one are dropped (docs/screening.md)."""

    threshold: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    """Similarity (Jaccard index of text windows) from which the later document is dropped."""


class PrivacySettings(Settings):
    """Scan for identities of patients and staff. It does not replace de-identification: docs/privacy.md lists what it
    misses."""

    action: Literal["refuse", "mask", "allow"] = "refuse"
    """`refuse` stops the build if there are too many matches, `mask` replaces each by `[NAME]`, `[PHONE]`, ..., `allow`
    only counts them."""
    max_per_million_characters: Annotated[float, Field(ge=0)] = 50.0
    """Matches per million characters up to which `refuse` builds; false matches occur in any text."""
    max_resident_numbers: NotNegative = 0
    """Resident registration and foreigner numbers up to which `refuse` builds."""
    chart_numbers: tuple[str, ...] = ()
    """Regular expressions of the hospital's patient numbers, in addition to the built-in patterns."""
    presidio: str | None = None
    """Installed spaCy model (en_core_web_lg) with which Microsoft Presidio finds names in English lines; `null`: not
    used, even if it is installed."""

    @field_validator("chart_numbers")
    @classmethod
    def patterns_compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                if re.compile(pattern).fullmatch(""):
                    raise ValueError(f"{pattern!r} matches the empty text")
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression ({error})") from None
        return patterns


class ContaminationSettings(Settings):
    """Search for text of the recipe's evaluation tasks in the corpus."""

    action: Literal["remove", "report"] = "remove"
    """`remove` drops the sentences, or the whole document, that are mostly text of leaked rows; `report` only lists
    them in contamination.csv."""
    splits: Annotated[tuple[Literal["train", "dev", "test", "external"], ...], Field(min_length=1)] = (
        "train",
        "dev",
        "test",
        "external",
    )
    """Splits of the tasks whose rows are searched for."""
    min_row_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Share of a row's text in one document from which the row counts as leaked."""


class SlurmSettings(Settings):
    """A Slurm job array that processes the parts of a corpus."""

    partition: str
    """Slurm partition."""
    time: str
    """Time limit of one task, as sbatch takes it: 04:00:00."""
    tasks: Positive
    """Tasks of the array; the parts are distributed over them."""
    workers: Positive | None = None
    """Tasks that run at the same time; `null`: no limit."""
    memory_gb: Positive = 4
    """Memory per CPU in GB."""
    setup: str | None = None
    """Shell command to run before Python (`source /shared/venv/bin/activate`); `null`: none."""


class Execution(Settings):
    """Where the parts of a corpus are processed. The output does not depend on it."""

    processes: Positive | None = None
    """Processes on this machine; `null`: one per core, fewer for a small corpus."""
    engine: Literal["local", "datatrove"] = "local"
    """`datatrove` runs the parts with datatrove's executors, which can submit them to Slurm."""
    slurm: SlurmSettings | None = None
    """With datatrove: submit a Slurm job array. `null`: run on this machine."""

    @model_validator(mode="after")
    def slurm_needs_datatrove(self) -> "Execution":
        if self.slurm is not None and self.engine != "datatrove":
            raise ValueError("slurm needs engine: datatrove")
        return self


class CorpusSettings(Settings):
    """A corpus: documents of several sources, cleaned, deduplicated and split into training and held-out text."""

    HOW_ONLY = frozenset({"execution"})

    sources: Annotated[tuple[Source, ...], Field(min_length=1)]
    """Sources in the order of the corpus; of equal documents the first is kept."""
    cleaning: CleaningSettings = CleaningSettings()
    quality: QualitySettings = QualitySettings()
    near_duplicates: NearDuplicateSettings | None = NearDuplicateSettings()
    """`null` keeps near-duplicates; equal documents are always dropped."""
    privacy: PrivacySettings = PrivacySettings()
    contamination: ContaminationSettings = ContaminationSettings()
    held_out_share: Below1 = 0.05
    """Share of documents that are never trained on, chosen by the hash of their text, or of their group if they have
    one."""
    execution: Execution = Execution()

    @model_validator(mode="after")
    def names_are_unique(self) -> "CorpusSettings":
        names = [source.name for source in self.sources]
        if len(set(names)) != len(names):
            raise ValueError(f"source names must be unique, found {names}")
        return self
