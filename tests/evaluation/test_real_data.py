"""Every task from its real files, or files in their published format, to a score: a tiny model, few rows, one trial."""

import json
import math

import pytest

from bimed_dist.evaluation import stage
from bimed_dist.evaluation.tasks import TASKS
from bimed_dist.manifest import write_manifest
from bimed_dist.recipe.evaluation import EvaluatedModel, TaskSettings

from .conftest import document_line

ROWS = {"train": 120, "dev": 24, "test": 24}
STS = {
    "files": {split: f"sts-{split}.tsv" for split in ROWS},
    "text_columns": ("sentence1", "sentence2"),
    "label_columns": ("score",),
}
CT = {"files": {"train": "train.csv", "test": "val.csv"}, "text_columns": ("report_text",)}
LEARNED = {"learning_rates": (3e-3,), "epochs": (20,)}
"""For classes: a model that predicts the same class for every row has no correlation."""
HELD_OUT = {"max_rows": {"test": 40}}

REAL = {
    "korsts": {"path": "sts/korsts"},
    "stsb_en": {"path": "sts/stsb_en"},
    "table_sts": {"path": "sts/korsts", "table": STS},
    "table_sts_six": {"path": "sts/korsts", "table": STS, **LEARNED},
    "ctclip": {"path": "chest_ct/ctclip", "max_rows": ROWS | {"train": 300}},
    "table_multilabel": {"path": "chest_ct/ctclip", "table": CT | {"label_columns": ("Lung nodule", "Emphysema")}},
    "table_classification": {"path": "chest_ct/ctclip", "table": CT | {"label_columns": ("Lung nodule",)}},
    "nubes_sections": {"path": "documents/nubes_es"},
    "nubes_specialties": {"path": "documents/nubes_es", "max_rows": ROWS | {"train": 300}},
    "bc5cdr": {"path": "ner/bc5cdr_en"},
    "ct_ebm_sp": {"path": "ner/ct_ebm_sp", "max_rows": ROWS | {"train": 300}},
    "simonero_ro": {"path": "ner/simonero_ro"},
    "klue_ner": {"path": "ner/klue_ner_ko"},
    "meddocan": {"path": "phi/meddocan_es", "max_rows": ROWS | {"train": 600}},
    "files_ner": {"path": "ner/bc5cdr_en", "entities": {"files": {"train": "train.tsv", "test": "test.tsv"}}},
    "files_ner_characters": {"path": "ner/klue_ner_ko", "entities": {"files": {"all": "klue-ner-v1.1_dev.tsv"}}},
    "covid19_retrieval": {"path": "corpus/covid19_cdc", **HELD_OUT},
    "mlm": {"corpus": "c", **HELD_OUT},
    "nsp": {"corpus": "c", **HELD_OUT},
    "mlm_terms": {
        "corpus": "c",
        "terms": {"path": "terms/tico19_g_en_ko.csv", "columns": ("sourceString", "targetString")},
    },
}  # fmt: skip
"""Settings of the tasks whose files are among the open data."""


def _pairs(start: int, count: int) -> list[tuple[str, str, str]]:
    said = ("없음", "폐렴", "의심", "mass", "nodule", "today")
    return [
        (f"환자 {i} {said[i % 6]}", f"lung {i} {said[i % 6]}", f"{i % 6 - (i % 2) / 2 if i % 6 else 0.0}")
        for i in range(start, start + count)
    ]


def _medsts(folder) -> None:
    train, test = _pairs(0, 60), _pairs(60, 20)
    _write(folder / "clinicalSTS2019.train.txt", ["\t".join(pair) for pair in train])
    _write(folder / "clinicalSTS2019.test.txt", [f"{first}\t{second}" for first, second, _ in test])
    _write(folder / "clinicalSTS2019.test.gs.sim.txt", [score for *_, score in test])


def _medsts_blue(folder) -> None:
    header = "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore"
    for split, start, count in (("train", 0, 40), ("dev", 50, 10), ("test", 70, 12)):
        rows = [
            f"{i}\tg\tf\t2018\t{i}\ts\ts\t{a}\t{b}\t{score}" for i, (a, b, score) in enumerate(_pairs(start, count))
        ]
        _write(folder / f"{split}.tsv", [header, *rows])


def _medsts_ko(folder) -> None:
    rows = [
        f'{i},{"train" if i < 60 else "test"},x,{score},"{first}","{second}"'
        for i, (first, second, score) in enumerate(_pairs(0, 80))
    ]
    _write(folder / "medsts.csv", ["no,split,x,score,a,b", *rows], "cp949")


def _kmbert_ner(folder) -> None:
    for name, start, count in (("train", 0, 60), ("test", 60, 20)):
        words = [("폐", "BD"), ("폐렴", "DS"), ("기침", "ST")]
        blocks = [
            [f"{word}{i}\tNNG\tB-{kind}" for word, kind in words] + ["소견\tNNG\tO", ""]
            for i in range(start, start + count)
        ]
        _write(folder / f"{name}.txt", [line for block in blocks for line in block])


def _chest_ct_report(folder) -> None:
    splits = ["train"] * 60 + ["val"] * 16 + ["test"] * 16 + ["external"] * 16
    rows = [f'"소견 {i}, nodule\n둘째 줄",{i % 2},{i // 2 % 2},{i // 4 % 2},{split}' for i, split in enumerate(splits)]
    _write(folder / "chest_ct_labeled_data.csv", ["report,pn,em,ca,dataset", *rows])


def _write(path, lines: list[str], encoding: str = "utf-8") -> None:
    path.write_text("\n".join(lines) + "\n", encoding=encoding)


PUBLISHED_LAYOUT = {
    "medsts": _medsts,
    "medsts_blue": _medsts_blue,
    "medsts_ko": _medsts_ko,
    "medsts_ko_six": _medsts_ko,
    "kmbert_ner": _kmbert_ner,
    "chest_ct_report": _chest_ct_report,
}
"""Tasks whose files may not be redistributed, with functions that write files in their format."""


def _scored(name: str, settings: dict, tiny_model, make_recipe, data, work) -> dict:
    """Return the results of one trial of the task; nothing may have failed."""
    models = {"m": EvaluatedModel(folder=str(tiny_model("m")))}
    rows = {"max_rows": ROWS} if TASKS[name].source == "path" and TASKS[name].kind != "retrieval" else {}
    tasks = {"t": TaskSettings(task=name, max_length=48, **{**rows, **settings})}
    recipe = make_recipe(models, tasks, seeds=(1,), learning_rates=(1e-3,)).model_copy(update={"data": str(data)})
    stage.run(recipe, work)
    results = json.loads((work / "evaluation" / "results.json").read_text(encoding="utf-8"))
    assert results["failures"] == []
    main = [row for row in results["scores"] if row["main"]]
    assert {row["split"] for row in main} >= {"test"} and all(math.isfinite(row["mean"]) for row in main)
    assert {row["metric"] for row in main} == {TASKS[name].metric}
    return results


def _write_held_out(work, open_data) -> None:
    """Write a finished corpus of real sentences, twenty per document."""
    folder = work / "corpus" / "c"
    folder.mkdir(parents=True)
    documents = []
    for language in ("ko", "en"):
        text = (open_data / "corpus" / "covid19_cdc" / f"covid19_cdc.{language}.txt").read_text(encoding="utf-8")
        lines = [line for line in text.split("\n") if line.strip()]
        documents += [(language, lines[start : start + 20]) for start in range(0, 120, 20)]
    rows = [document_line(i, language, [lines], "cdc") for i, (language, lines) in enumerate(documents)]
    _write(folder / "held_out.jsonl", rows)
    files = [folder / "held_out.jsonl"]
    write_manifest(folder, stage="corpus", name="c", settings={}, inputs={}, counts={}, files=files, seconds=0)


def test_every_task_is_covered_here():
    generated = {name for name, task in TASKS.items() if task.source == "synthetic"}
    assert set(TASKS) == REAL.keys() | PUBLISHED_LAYOUT.keys() | generated
    assert not REAL.keys() & PUBLISHED_LAYOUT.keys()


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_a_task_runs_from_its_real_files_to_a_score(name, open_data, tiny_model, make_recipe, tmp_path):
    work = tmp_path / "work"
    if TASKS[name].source == "corpus":
        _write_held_out(work, open_data)
    results = _scored(name, REAL[name], tiny_model, make_recipe, open_data, work)
    assert not [note for note in results["tasks"]["t"]["notes"] if "not the published files" in note]


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED_LAYOUT)
def test_a_task_runs_from_files_in_their_published_format_to_a_score(name, tiny_model, make_recipe, tmp_path):
    (tmp_path / "files").mkdir()
    PUBLISHED_LAYOUT[name](tmp_path / "files")
    learned = LEARNED if TASKS[name].kind == "sts_classes" else {}
    _scored(name, {"path": "files", "max_rows": {}, **learned}, tiny_model, make_recipe, tmp_path, tmp_path / "work")
