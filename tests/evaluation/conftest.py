"""Tiny models with random weights, and benchmark files in their published formats."""

import functools
import io
import json
import logging
import random
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForPreTraining, BertModel, BertTokenizerFast

from bimed_dist.evaluation import stage
from bimed_dist.evaluation.grid.model_on_task import ModelOnTask, load_model_folder, model_on_task
from bimed_dist.evaluation.grid.running import run_trial
from bimed_dist.evaluation.grid.schedule import Schedule
from bimed_dist.evaluation.preparation.preparing import prepare_tasks
from bimed_dist.manifest import write_manifest
from bimed_dist.recipe.corpus import CorpusSettings, SyntheticSource
from bimed_dist.recipe.evaluation import EvaluatedModel, EvaluationSettings, TaskSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.references import locate

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [
    *("폐", "결절", "소견", "없음", "흉수", "관찰됨", "폐렴", "의심", "종괴", "증가"),
    *("the", "lung", "shows", "a", "small", "nodule", "without", "effusion", "or", "mass", "today"),
]
KORSTS = {"sts": TaskSettings(task="korsts", path="korsts")}
LETTERS = sorted(set("".join(WORDS) + "은는이가을를에서abcdefghijklmnopqrstuvwxyz0123456789.\"'"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def make_model(folder: Path, words: list[str] = WORDS, heads: bool = True, seed: int = 0, letters: bool = True) -> Path:
    """Write a BERT of 2 layers x 32 with tokens for every letter and for `words`."""
    folder.mkdir(parents=True)
    tokens = SPECIAL + (LETTERS + ["##" + letter for letter in LETTERS] if letters else []) + words
    tokens = list(dict.fromkeys(tokens))
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    slow = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=False, strip_accents=False)
    BertTokenizerFast(tokenizer_object=slow._tokenizer, model_max_length=64, do_lower_case=False).save_pretrained(
        folder
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    (BertForPreTraining if heads else BertModel)(config).save_pretrained(folder)
    return folder


@pytest.fixture
def tiny_model(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes a model folder; see `make_model`."""

    def make(name: str, words: list[str] = WORDS, heads: bool = True, seed: int = 0, letters: bool = True) -> Path:
        return make_model(tmp_path / "models" / name, words, heads, seed, letters)

    return make


def sentence(rng: random.Random, length: int = 5) -> str:
    return " ".join(rng.choices(WORDS, k=length))


def write_korsts(folder: Path) -> Path:
    """Write a folder in KorSTS' format; the score is the number of common words."""
    folder.mkdir()
    rng = random.Random(1)
    for split, rows in (("train", 48), ("dev", 16), ("test", 24)):
        lines = ["genre\tfilename\tyear\tid\tscore\tsentence1\tsentence2"]
        for i in range(rows):
            first, second = sentence(rng), sentence(rng)
            common = len(set(first.split()) & set(second.split()))
            lines.append(f"main\tf\t2012\t{i}\t{min(5, common)}.000\t{first}\t{second}")
        (folder / f"sts-{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def korsts(tmp_path: Path) -> Path:
    return write_korsts(tmp_path / "korsts")


@pytest.fixture
def bc5cdr(tmp_path: Path) -> Path:
    """A folder in BC5CDR's format."""
    folder = tmp_path / "bc5cdr"
    folder.mkdir()
    rng = random.Random(2)
    tags = {"nodule": "Disease", "effusion": "Disease", "lung": "Chemical"}
    for file, rows in (("train", 40), ("devel", 12), ("test", 16)):
        sentences = []
        for _ in range(rows):
            words = ["lung", "nodule", *sentence(rng).split()]
            sentences.append("\n".join(f"{w}\t{'B-' + tags[w] if w in tags else 'O'}" for w in words))
        (folder / f"{file}.tsv").write_text("\n\n".join(sentences) + "\n\n", encoding="utf-8")
    return folder


def recipe_of(
    data: Path, models: dict[str, EvaluatedModel], tasks: dict[str, TaskSettings], **grid: tuple[float, ...] | int
) -> Recipe:
    settings = {"learning_rates": (1e-3,), "epochs": (1,), "seeds": (1, 2), "batch_size": 16} | grid
    return Recipe(
        name="test",
        seed=5,
        data=str(data),
        corpus={"c": CorpusSettings(sources=(SyntheticSource(kind="synthetic", name="s", documents=1),))},
        evaluation=EvaluationSettings(models=models, tasks=tasks, **settings),
    )


@pytest.fixture
def make_recipe(tmp_path: Path) -> Callable[..., Recipe]:
    return functools.partial(recipe_of, tmp_path)


def foundation_and_adapted(folder: Path) -> dict[str, EvaluatedModel]:
    return {
        "base": EvaluatedModel(folder=str(make_model(folder / "base", words=[]))),
        "adapted": EvaluatedModel(folder=str(make_model(folder / "adapted", seed=1)), adapted_from="base"),
    }


@pytest.fixture
def two_models(tmp_path: Path) -> dict[str, EvaluatedModel]:
    return foundation_and_adapted(tmp_path / "models")


@pytest.fixture(scope="session")
def evaluated_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, EvaluatedModel], str]:
    """Return (data and work folder, models, log) of one evaluation of two models on KorSTS."""
    folder = tmp_path_factory.mktemp("evaluated")
    models = foundation_and_adapted(folder / "models")
    write_korsts(folder / "korsts")
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logger = logging.getLogger("bimed_dist")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    stage.run(recipe_of(folder, models, KORSTS), folder / "work")
    logger.removeHandler(handler)
    logger.setLevel(before)
    return folder, models, log.getvalue()


@dataclass
class Evaluated:
    """A copy of a finished evaluation that a test may change."""

    recipe: Recipe
    models: dict[str, EvaluatedModel]
    data: Path
    """KorSTS' folder."""
    work: Path
    log: str
    """Log lines of the evaluation."""


@pytest.fixture
def evaluated(evaluated_once: tuple[Path, dict[str, EvaluatedModel], str], tmp_path: Path) -> Evaluated:
    folder, models, log = evaluated_once
    for name in ("korsts", "work"):
        shutil.copytree(folder / name, tmp_path / name)
    return Evaluated(recipe_of(tmp_path, models, KORSTS), models, tmp_path / "korsts", tmp_path / "work", log)


def results_of(work: Path) -> dict[str, Any]:
    return json.loads((work / "evaluation" / "results.json").read_text(encoding="utf-8"))


def document_line(number: int, language: str, paragraphs: Sequence[Sequence[str]], source: str = "s") -> str:
    """Return the line of a document in train.jsonl or held_out.jsonl, all of it in one language."""
    languages = [[language] * len(sentences) for sentences in paragraphs]
    document = {"id": str(number), "source": source, "language": language}
    return json.dumps({**document, "paragraphs": paragraphs, "languages": languages})


def write_corpus(work: Path, documents: Iterable[tuple[str, str, Sequence[str]]]) -> Path:
    """A finished corpus folder with these held-out documents, (language, source, sentences) each."""
    folder = work / "corpus" / "c"
    folder.mkdir(parents=True)
    lines = [
        document_line(i, language, [sentences], source) for i, (language, source, sentences) in enumerate(documents)
    ]
    file = folder / "held_out.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_manifest(folder, stage="corpus", name="c", settings={}, inputs={}, counts={}, files=[file], seconds=0)
    return work


def trial_times(work: Path) -> dict[Path, int]:
    """Return the time at which each file of the trials was written."""
    return {path: path.stat().st_mtime_ns for path in (work / "evaluation" / "trials").rglob("*.json")}


def read_trials(work: Path) -> dict[str, dict[str, Any]]:
    """Return every file of the trials without its duration, by its path in `trials`."""
    folder = work / "evaluation" / "trials"
    records = {
        str(path.relative_to(folder)): json.loads(path.read_text(encoding="utf-8")) for path in folder.rglob("*.json")
    }
    for record in records.values():
        record.pop("seconds", None)
    return dict(sorted(records.items()))


def grid_of(recipe: Recipe, work: Path) -> list[ModelOnTask]:
    """Return the grid of a recipe with a single task."""
    (prepared,) = prepare_tasks(recipe, work).values()
    encoded = {}
    return [
        model_on_task(
            *(recipe.evaluation, prepared, label),
            load_model_folder(locate(model.folder, recipe, work)),
            *(work / "evaluation", encoded),
        )
        for label, model in recipe.evaluation.models.items()
    ]


def run_all(schedule: Schedule) -> None:
    """Run all trials in this process."""
    while schedule.waiting:
        index, trial = schedule.waiting.popleft()
        schedule.add_record((index, trial), run_trial(schedule.grid[index], trial))
