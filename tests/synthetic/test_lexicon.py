"""The lexicon's files: the texts made from them, refusal of malformed entries, and their place in the wheel."""

import configparser
import hashlib
import random
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import pytest

from bimed_dist.errors import DataError
from bimed_dist.synthetic import articles, entities, notes
from bimed_dist.synthetic.cases import draw_case
from bimed_dist.synthetic.documents import generate_documents
from bimed_dist.synthetic.lexicon import tables
from bimed_dist.synthetic.lexicon.reading import FOLDER, Table, read_entries, read_phrases, read_yaml
from bimed_dist.synthetic.pairs import generate_sentence_pairs
from bimed_dist.synthetic.reports import generate_ct_reports

ROOT = Path(__file__).parents[2]
DISEASE = (FOLDER / "diseases.yaml").read_text(encoding="utf-8").split("\n\n")[1]


def digest(items: Iterable[tuple[object, ...]]) -> str:
    return hashlib.sha256("\n".join("\x1f".join(map(str, item)) for item in items).encode()).hexdigest()[:16]


# Computed when the lexicon was still Python code. A change of the lexicon or of the generator changes all recipes with
# synthetic sources or tasks: change these digests on purpose only.
DIGESTS = {
    ("documents", 1, "ko"): "71d20639425d95b3",
    ("pairs", 1, "ko"): "8de3b9a2fd1fa488",
    ("documents", 1, "en"): "aebf6b7b301b2f39",
    ("pairs", 1, "en"): "a714eeb9f30a4016",
    ("documents", 1, "mixed"): "41683f4dd5486319",
    ("pairs", 1, "mixed"): "95d73498bad48530",
    ("ct", 1): "8d587965f50ec664",
    ("ner", 1): "b7c375f86c61fa1c",
    ("documents", 2026, "ko"): "211679428b9aeea7",
    ("pairs", 2026, "ko"): "ab488006f65fcffd",
    ("documents", 2026, "en"): "c6e1c75a7c6e80ef",
    ("pairs", 2026, "en"): "84fce90f151258f4",
    ("documents", 2026, "mixed"): "3a0cdda96fce3059",
    ("pairs", 2026, "mixed"): "8b735762f3e8f384",
    ("ct", 2026): "f973f95d8411849c",
    ("ner", 2026): "0559288aaff2dc20",
}


@pytest.mark.parametrize("seed", [1, 2026])
@pytest.mark.parametrize("language", ["ko", "en", "mixed"])
def test_documents_and_sentence_pairs_keep_their_text(seed: int, language: str):
    documents = generate_documents(seed, 100, (language,), "s")
    assert digest((d.id, *d.paragraphs) for d in documents) == DIGESTS["documents", seed, language]
    pairs = [pair for split in ("train", "external") for pair in generate_sentence_pairs(seed, split, 40, language)]
    assert digest((p.id, p.first, p.second, p.score) for p in pairs) == DIGESTS["pairs", seed, language]


@pytest.mark.parametrize("seed", [1, 2026])
def test_reports_and_entity_sentences_keep_their_text_and_labels(seed: int):
    reports = [report for split in ("train", "external") for report in generate_ct_reports(seed, split, 60)]
    assert digest((r.id, r.text, r.pneumonia, r.embolism, r.cancer) for r in reports) == DIGESTS["ct", seed]
    sentences = [s for split in ("train", "test") for s in entities.generate_ner_sentences(seed, split, 100)]
    assert digest((s.id, *s.words, *s.tags) for s in sentences) == DIGESTS["ner", seed]


def test_every_file_of_the_lexicon_is_well_formed_and_used():
    loaded = [table for table in vars(tables).values() if isinstance(table, Table)]
    assert all(len(table) for table in loaded)
    assert tables.groups().comorbidities
    assert len(loaded) + 1 == len(list(FOLDER.glob("*.yaml")))
    assert all(tables.sites_of(observation) for observation in tables.OBSERVATIONS)


def test_the_code_draws_a_word_for_every_slot():
    rng, disease = random.Random(1), tables.DISEASES["pneumonia"]
    drawn = {
        "articles": articles._slots(disease, "en", rng)._draws,
        "notes": notes.draw_slots(draw_case(rng), "en", rng)._draws,
        "entities": entities._slots(rng, "{ds}")._draws,
    }
    for name, draws in drawn.items():
        assert draws.keys() == read_yaml(FOLDER / f"{name}.yaml")["slots"].keys(), name


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("symptoms: [fever,", "symptoms: [fevre,", "pneumonia.symptoms: there is no entry fevre"),
        ("labs: [WBC+,", "labs: [WBC,", "pneumonia.labs: there is no entry WBC"),
        ("clinic: pulm", "clinic: lungs", "pneumonia.clinic: there is no entry lungs"),
        ("  short: pneumonia\n", "", "pneumonia.short: Field required"),
        ("  short:", "  shrt:", "pneumonia.shrt: Extra inputs are not permitted"),
        ("clinic: pulm", "clinic: pulm\n  ages: [24, old]", "pneumonia.ages.1: Input should be a valid integer"),
        ("ko: [폐렴, 지역사회획득 폐렴]", "ko: []", "pneumonia.ko: Tuple should have at least 1 item"),
        ("clinic: pulm", "clinic: pulm\n  clinic: pulm", "line 6: clinic is given twice"),
        (
            "en: [pneumonia, community-acquired pneumonia]",
            "en: pneumonia",
            "pneumonia.en: Input should be a",
        ),
        ("지역사회획득 폐렴]", "지역사회획득 폐렴", "can't be read"),
    ],
)
def test_a_malformed_entry_is_refused_with_file_and_place(tmp_path: Path, old: str, new: str, message: str):
    assert old in DISEASE
    path = tmp_path / "diseases.yaml"
    path.write_text(DISEASE.replace(old, new), encoding="utf-8")
    references = {"symptoms": tables.SYMPTOMS, "clinic": tables.CLINICS}
    references["labs"] = {lab + sign for lab in tables.LABS for sign in "+-"}
    with pytest.raises(DataError) as error:
        read_entries(path, tables.Disease, references)
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_all_malformed_entries_are_reported_at_once(tmp_path: Path):
    path = tmp_path / "symptoms.yaml"
    path.write_text("fever: {en: [fever]}\ncough: cough\nchills: {en: [chills], ko: [오한]}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"2 problem\(s\)\n  fever.ko: Field required\n  cough: an entry is a mapping"):
        read_entries(path, tables.Term)


@pytest.mark.parametrize(
    ("phrase", "message"),
    [("{he} has {symptm}.", "en.story.1: there is no slot {symptm}"), ("{he has", "en.story.1: expected '}'")],
)
def test_a_phrase_with_an_unknown_slot_is_refused(tmp_path: Path, phrase: str, message: str):
    path = tmp_path / "notes.yaml"
    path.write_text(f'slots: {{he: he or she}}\nen:\n  story:\n    - "{{he}} is well."\n    - "{phrase}"\n')
    with pytest.raises(DataError) as error:
        read_phrases(path)
    assert message in str(error.value)


def test_mixed_wording_is_the_english_one_if_not_given():
    assert tables.SYMPTOMS["nocturia"].mixed == tables.SYMPTOMS["nocturia"].en


def test_package_data_names_every_file_that_is_not_code():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    patterns = config["options.package_data"]["*"].replace(",", " ").split()
    files = [path for path in (ROOT / "bimed_dist").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    missing = [path for path in files if path.suffix != ".py" and not any(fnmatch(path.name, p) for p in patterns)]
    assert not missing
    assert all((path.parent / "__init__.py").is_file() for path in files)
