"""Recall of the privacy scan on planted and on published identities, and its false matches in clean text.

Planted: invented identities in synthetic clinical text (`planting`), by type and form. Published: MEDDOCAN's Spanish
clinical cases with synthetic patients, for the types that the scan covers. False matches: per million characters of
synthetic text without identities, and of open text, which contains some real people and addresses.

    python benchmarks/privacy.py --data /path/to/open_data
"""

import csv
import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
from _measuring import record
from planting import clean_paragraphs, planted_paragraphs

from bimed_dist.corpus.identities import TYPES
from bimed_dist.corpus.privacy import Match, scanner
from bimed_dist.recipe.corpus import PrivacySettings

MEDDOCAN = {
    "NOMBRE_SUJETO_ASISTENCIA": "name of a patient",
    "NOMBRE_PERSONAL_SANITARIO": "name of staff",
    "CORREO_ELECTRONICO": "email",
    "NUMERO_TELEFONO": "phone",
    "NUMERO_FAX": "fax",
    "ID_SUJETO_ASISTENCIA": "chart_number of a patient",
    "ID_CONTACTO_ASISTENCIAL": "chart_number of an episode",
    "FECHAS": "birth_date after its cue",
}

Scan = Callable[[str], list[Match]]


def is_covered(matches: Iterable[Match], start: int, end: int) -> bool:
    return any(match.start <= start and end <= match.end for match in matches)


def planted(scan: Scan, seed: int, per_form: int) -> dict[str, Any]:
    total: Counter[tuple[str, str]] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    for paragraph in planted_paragraphs(seed, per_form):
        matches = scan(paragraph.text)
        for type, form, start, end in paragraph.planted:
            total[type, form] += 1
            found[type, form] += is_covered(matches, start, end)
    by_type = {type: [key for key in sorted(total) if key[0] == type] for type in TYPES}
    return {
        "identities": sum(total.values()),
        "recall": {type: _share(keys, found, total) for type, keys in by_type.items()},
        "forms": {type: len(keys) for type, keys in by_type.items()},
        "below_1": {": ".join(key): _share([key], found, total) for key in sorted(total) if found[key] < total[key]},
    }


def _share(keys: list[tuple[str, str]], found: Counter[tuple[str, str]], total: Counter[tuple[str, str]]) -> float:
    return round(sum(found[key] for key in keys) / sum(total[key] for key in keys), 4)


def published(scan: Scan, folder: Path) -> dict[str, Any]:
    total: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for annotations in sorted(folder.glob("*.ann")):
        text = annotations.with_suffix(".txt").read_text(encoding="utf-8")
        matches = scan(text)
        for line in annotations.read_text(encoding="utf-8").splitlines():
            label, start, end = line.split("\t")[1].split()[:3]
            is_birth = "nacimiento" in text[max(0, int(start) - 25) : int(start)].lower()
            if label in MEDDOCAN and (label != "FECHAS" or is_birth):
                total[MEDDOCAN[label]] += 1
                found[MEDDOCAN[label]] += is_covered(matches, int(start), int(end))
    return {name: {"identities": n, "recall": round(found[name] / n, 4)} for name, n in total.items()}


def matches_per_million(scan: Scan, texts: Iterable[str]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    characters, start = 0, time.process_time()
    for text in texts:
        characters += len(text)
        counts.update(match.type for match in scan(text))
    seconds = time.process_time() - start
    return {
        "characters": characters,
        "matches_per_million": {type: round(1e6 * n / characters, 2) for type, n in sorted(counts.items())},
        "characters_per_second_and_core": round(characters / seconds),
    }


def open_texts(data: Path) -> dict[str, Iterator[str]]:
    """Return the paragraphs of open text by source."""
    corpus = data / "corpus"
    folders = ("ohdsi_book_ko", "ohdsi_book_en", "covid19_cdc", "openehr_koen", "general_koen")
    with (data / "chest_ct/ctclip/train.csv").open(encoding="utf-8", newline="") as file:
        reports = [row["report_text"] for row in csv.DictReader(file)]
    sources = {
        **{name: _files(corpus / name) for name in folders},
        "medquad_en": _json_texts(corpus / "medquad_en/medquad_answered.jsonl.gz", "answer"),
        "general_help, Korean": _json_texts(corpus / "general_help/help_ko.jsonl.gz", "text"),
        "general_help, English": _json_texts(corpus / "general_help/help_en.jsonl.gz", "text"),
        "ctclip": reports,
        "nubes_es": _files(data / "documents/nubes_es"),
        "klue_ner_ko": _tagged(data / "ner/klue_ner_ko", ""),
        "bc5cdr_en": _tagged(data / "ner/bc5cdr_en", " "),
    }
    return {name: (part for text in texts for part in text.split("\n\n")) for name, texts in sources.items()}


def _files(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.t[xs][tv]")):
        yield path.read_text(encoding="utf-8")


def _json_texts(path: Path, field: str) -> Iterator[str]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)[field] or ""


def _tagged(folder: Path, between: str) -> Iterator[str]:
    """Yield the sentences of files with a word or a character and its tag on each line."""
    for text in _files(folder):
        for sentence in text.split("\n\n"):
            lines = (line for line in sentence.splitlines() if not line.startswith("##"))
            yield between.join(line.partition("\t")[0] for line in lines)


@click.command(help=__doc__)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder of open data; without it only planted identities are measured.",
)
@click.option("--per-form", default=100, show_default=True, help="Planted identities of each form.")
@click.option("--documents", default=3000, show_default=True, help="Synthetic documents without identities.")
@click.option("--presidio", help="Installed spaCy model; with it Presidio is used too.")
def main(data, per_form, documents, presidio):
    scan = scanner(PrivacySettings(presidio=presidio))
    result: dict[str, Any] = {"presidio": presidio, "planted": planted(scan, seed=11, per_form=per_form)}
    result["clean_synthetic"] = matches_per_million(scan, clean_paragraphs(seed=12, documents=documents))
    if data is not None:
        splits = {split: data / "phi/meddocan_es" / split / "brat" for split in ("train", "dev")}
        result["meddocan"] = {split: published(scan, folder) for split, folder in splits.items()}
        result["open_text"] = {name: matches_per_million(scan, texts) for name, texts in open_texts(data).items()}
    record("privacy" if presidio is None else "privacy_presidio", result)


if __name__ == "__main__":
    main()
