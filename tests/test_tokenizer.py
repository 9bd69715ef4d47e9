"""One loader for all stages: what is wrong with a tokenizer is said in one way."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from bimed_dist.errors import ConfigError, DataError
from bimed_dist.hugging_face import load_tokenizer
from bimed_dist.model import stage as model
from bimed_dist.recipe.loading import parse_recipe
from bimed_dist.shards.encoding import Encoder

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def write(folder: Path, vocabulary: dict[str, int], special: tuple[str, ...] = SPECIAL) -> Path:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    names = {f"{name.strip('[]').lower()}_token": name for name in special}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "tokenizer", {piece: i for i, piece in enumerate((*SPECIAL, "폐", "lung"))})


def make_model(tokenizer: Path, work: Path) -> None:
    architecture = {"layers": 1, "width": 8, "heads": 1, "feed_forward": 8}
    tree = {"name": "r", "seed": 1, "model": {"m": {"architecture": architecture, "tokenizer": str(tokenizer)}}}
    model.run(parse_recipe(tree, where="r"), "m", work)


def test_a_whole_tokenizer_loads(folder: Path):
    assert load_tokenizer(str(folder)).tokenize("폐") == ["폐"]


@pytest.mark.parametrize("content", ['{"version": "1.0", "model": {}}', "{", ""])
def test_a_damaged_file_is_named_by_every_stage_without_a_traceback(folder: Path, tmp_path: Path, content: str):
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    for load in (load_tokenizer, Encoder, lambda location: make_model(location, tmp_path / "work")):
        with pytest.raises(DataError, match=r"tokenizer: the tokenizer can't be loaded \(\w+"):
            load(str(folder))


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    with pytest.raises(DataError, match="there is no tokenizer in the folder"):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_without_padding_is_refused(tmp_path: Path):
    without = write(tmp_path / "t", {piece: i for i, piece in enumerate((*SPECIAL, "폐"))}, special=SPECIAL[1:])
    with pytest.raises(DataError, match="no padding token"):
        load_tokenizer(str(without))


def test_a_model_is_not_made_for_a_vocabulary_with_gaps(tmp_path: Path):
    gap = write(tmp_path / "t", {**{piece: i for i, piece in enumerate(SPECIAL)}, "폐": 9})
    with pytest.raises(ConfigError, match="has repeated lines or gaps"):
        make_model(gap, tmp_path / "work")
