"""A toy corpus in which every token of the vocabulary occurs once, so that an id identifies its position."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from bimed_dist import manifest
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.recipe.recipe import Recipe
from bimed_dist.shards import stage
from bimed_dist.shards.reading import ShardSet

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclass(frozen=True)
class Toy:
    """A built shards folder, and document, position and sentence of each id of the train split."""

    folder: Path
    documents: list[list[list[int]]]
    """Ids of every sentence of every train document."""
    document_of: dict[int, int]
    position_of: dict[int, int]
    """Position of the token in the whole train split."""
    sentence_of: dict[int, int]

    def open(self) -> ShardSet:
        return ShardSet.open(self.folder, "train")

    @property
    def num_tokens(self) -> int:
        return len(self.position_of)


@pytest.fixture(scope="session")
def write_tokenizer() -> Callable[..., Path]:
    def write(folder: Path, tokens: list[str], special: tuple[str, ...] = SPECIAL) -> Path:
        vocabulary = {token: number for number, token in enumerate([*SPECIAL, *tokens])}
        tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=1000))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        names = {f"{name.strip('[]').lower()}_token": name for name in special}
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
        return folder

    return write


@pytest.fixture(scope="session")
def write_corpus() -> Callable[..., None]:
    def write(work: Path, train: list[list[str]], held_out: list[list[str]]) -> None:
        """Documents are lists of sentences; sources and languages alternate by document."""
        folder = work / "corpus" / "toy"
        folder.mkdir(parents=True)
        for split, documents in (("train", train), ("held_out", held_out)):
            lines = [
                {
                    "id": f"{split}-{number}",
                    "source": ("book", "web")[number % 2],
                    "language": ("ko", "en")[number % 2],
                    "paragraphs": [sentences[:2], sentences[2:]],
                    "languages": [[("ko", "en")[number % 2]] * len(part) for part in (sentences[:2], sentences[2:])],
                }
                for number, sentences in enumerate(documents)
            ]
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")
        files = list(folder.iterdir())
        manifest.write_manifest(
            folder, stage="corpus", name="toy", settings={}, inputs={}, counts={}, files=files, seconds=0
        )

    return write


def toy_recipe(tokenizer: Path, shard_tokens: int = 16_777_216) -> Recipe:
    tree = {
        "name": "toy",
        "seed": 1,
        "corpus": {"toy": {"sources": [{"kind": "synthetic", "name": "toy", "documents": 1}]}},
        "shards": {"toy": {"corpus": "toy", "tokenizer": str(tokenizer), "shard_tokens": shard_tokens}},
    }
    return parse_recipe(tree, where="toy")


@pytest.fixture(scope="session")
def recipe_of() -> Callable[..., Recipe]:
    return toy_recipe


@pytest.fixture(scope="session")
def build_toy(write_tokenizer: Callable[..., Path], write_corpus: Callable[..., None]) -> Callable[..., Toy]:
    def build(work: Path, shape: list[list[int]], shard_tokens: int = 1000, held_out: int = 12) -> Toy:
        """`shape` holds the number of tokens of each sentence of each train document."""
        vocabulary: list[str] = []

        def sentence(length: int) -> str:
            # Every word has three tokens, except that the last one of a sentence may have fewer.
            words = []
            for i in range(length):
                vocabulary.append(f"w{len(vocabulary)}" if i % 3 == 0 else f"##c{len(vocabulary)}")
                words.append(f" {vocabulary[-1]}" if i % 3 == 0 else vocabulary[-1][2:])
            return "".join(words).strip()

        train = [[sentence(length) for length in document] for document in shape]
        held_out_texts = [[sentence(4), sentence(6), sentence(5)] for _ in range(held_out)]
        write_corpus(work, train, held_out_texts)
        tokenizer = write_tokenizer(work / "tokenizer", vocabulary)
        outcome = stage.run(toy_recipe(tokenizer, shard_tokens), "toy", work)

        ids = iter(range(len(SPECIAL), len(SPECIAL) + len(vocabulary)))
        documents = [[[next(ids) for _ in range(length)] for length in document] for document in shape]
        document_of, position_of, sentence_of = {}, {}, {}
        sentences = [(d, s) for d, document in enumerate(documents) for s in document]
        for number, (document, tokens) in enumerate(sentences):
            for token in tokens:
                document_of[token], position_of[token], sentence_of[token] = document, len(position_of), number
        return Toy(outcome.folder, documents, document_of, position_of, sentence_of)

    return build


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory, build_toy: Callable[..., Toy]) -> Toy:
    """150 documents of 1 to 9 sentences of 1 to 24 tokens, over several shards."""
    random = np.random.default_rng(5)
    shape = [random.integers(1, 25, size=random.integers(1, 10)).tolist() for _ in range(150)]
    return build_toy(tmp_path_factory.mktemp("toy"), shape)


@pytest.fixture(scope="session")
def settings() -> Callable[..., PretrainingSettings]:
    def make(**changes: object) -> PretrainingSettings:
        values = {"model": "m", "shards": "toy", "steps": 100, "global_batch": 24, "micro_batch": 4, "max_length": 64}
        return PretrainingSettings(**{**values, **changes})

    return make
