"""Tiny models with random weights, and benchmark files in their published formats."""

import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertForPreTraining, BertModel, BertTokenizerFast

from bimed_dist.evaluation import stage
from bimed_dist.evaluation.grid.model_on_task import ModelOnTask
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
LETTERS = sorted(set("".join(WORDS) + "은는이가을를에서abcdefghijklmnopqrstuvwxyz0123456789.\"'"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def tiny_model(tmp_path: Path) -> Callable[..., Path]:
    """Makes a BERT folder of 2 layers x 32 with pieces for every letter, or for `words` too."""

    def make(name: str, words: list[str] = WORDS, heads: bool = True, seed: int = 0, letters: bool = True) -> Path:
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        pieces = SPECIAL + (LETTERS + ["##" + letter for letter in LETTERS] if letters else []) + words
        pieces = list(dict.fromkeys(pieces))
        (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
        slow = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=False, strip_accents=False)
        BertTokenizerFast(tokenizer_object=slow._tokenizer, model_max_length=64, do_lower_case=False).save_pretrained(
            folder
        )
        torch.manual_seed(seed)
        config = BertConfig(
            vocab_size=len(pieces),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        )
        (BertForPreTraining if heads else BertModel)(config).save_pretrained(folder)
        return folder

    return make


def sentence(rng: random.Random, length: int = 5) -> str:
    return " ".join(rng.choices(WORDS, k=length))


@pytest.fixture
def korsts(tmp_path: Path) -> Path:
    """A folder in KorSTS' format: score = share of common words."""
    folder = tmp_path / "korsts"
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


@pytest.fixture
def make_recipe(tmp_path: Path) -> Callable[..., Recipe]:
    def make(
        models: dict[str, EvaluatedModel], tasks: dict[str, TaskSettings], **grid: tuple[float, ...] | int
    ) -> Recipe:
        settings = {"learning_rates": (1e-3,), "epochs": (1,), "seeds": (1, 2), "batch_size": 16} | grid
        return Recipe(
            name="test",
            seed=5,
            data=str(tmp_path),
            corpus={"c": CorpusSettings(sources=(SyntheticSource(kind="synthetic", name="s", documents=1),))},
            evaluation=EvaluationSettings(models=models, tasks=tasks, **settings),
        )

    return make


@pytest.fixture
def two_models(tiny_model: Callable[..., Path]) -> dict[str, EvaluatedModel]:
    return {
        "base": EvaluatedModel(folder=str(tiny_model("base", words=[]))),
        "adapted": EvaluatedModel(folder=str(tiny_model("adapted", seed=1)), adapted_from="base"),
    }


def results_of(work: Path) -> dict[str, Any]:
    return json.loads((work / "evaluation" / "results.json").read_text(encoding="utf-8"))


def write_corpus(work: Path, documents: Iterable[tuple[str, str, Sequence[str]]]) -> Path:
    """A finished corpus folder with these held-out documents, (language, source, sentences) each."""
    folder = work / "corpus" / "c"
    folder.mkdir(parents=True)
    lines = [
        json.dumps({"id": str(i), "source": source, "language": language, "paragraphs": [sentences]})
        for i, (language, source, sentences) in enumerate(documents)
    ]
    file = folder / "held_out.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_manifest(folder, stage="corpus", name="c", settings={}, inputs={}, counts={}, files=[file], seconds=0)
    return work


def pairs_of(recipe: Recipe, work: Path) -> list[ModelOnTask]:
    """The pairs that the stage makes of a recipe's only task."""
    (prepared,) = prepare_tasks(recipe, work).values()
    encoded = {}
    return [
        stage.make_pair(
            recipe.evaluation, prepared, label, stage.load_subject(locate(model.folder, recipe, work)),
            work / "evaluation", encoded,
        )
        for label, model in recipe.evaluation.models.items()
    ]  # fmt: skip
