"""Loading from Hugging Face folders: a broken folder gives one message, and weights are aligned."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import BertConfig, BertForPreTraining, PreTrainedTokenizerFast

from bimed_dist.errors import ConfigError, DataError, Stopped
from bimed_dist.evaluation.models.loading import load_classifier, load_head_model
from bimed_dist.hugging_face import load_config, load_tokenizer, loading
from bimed_dist.model import stage as model
from bimed_dist.model.foundation import load_bert, load_foundation
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
    return write(tmp_path / "tokenizer", {token: i for i, token in enumerate((*SPECIAL, "폐", "lung"))})


def make_model(tokenizer: Path, work: Path) -> None:
    architecture = {"num_hidden_layers": 1, "hidden_size": 8, "num_attention_heads": 1, "intermediate_size": 8}
    tree = {"name": "r", "seed": 1, "model": {"m": {"architecture": architecture, "tokenizer": str(tokenizer)}}}
    model.run(parse_recipe(tree, where="r"), "m", work)


def test_a_whole_tokenizer_loads(folder: Path):
    assert load_tokenizer(str(folder)).tokenize("폐") == ["폐"]


@pytest.mark.parametrize("content", ['{"version": "1.0", "model": {}}', "{", ""])
def test_a_damaged_tokenizer_is_reported_in_the_same_way_by_every_stage(folder: Path, tmp_path: Path, content: str):
    (folder / "tokenizer.json").write_text(content, encoding="utf-8")
    for load in (load_tokenizer, Encoder, lambda location: make_model(location, tmp_path / "work")):
        with pytest.raises(DataError, match=r"tokenizer: the tokenizer can't be loaded \(\w+"):
            load(str(folder))


@pytest.mark.parametrize(
    "load", [load_config, lambda folder: load_foundation(folder, 1), lambda folder: load_classifier(folder, "sts", ())]
)
def test_a_missing_or_damaged_model_is_reported_in_the_same_way_by_both_halves(tmp_path: Path, load):
    with pytest.raises(DataError, match=r"^\./absent: the (configuration|model) can't be loaded \(OSError: "):
        load("./absent")
    (tmp_path / "config.json").write_text('{"model_type": "bert", "hidden_size": "wide"}', encoding="utf-8")
    with pytest.raises(DataError, match=rf"^{tmp_path}: the (configuration|model) can't be loaded \("):
        load(str(tmp_path))


def test_a_signal_while_loading_stays_a_stop():
    with pytest.raises(Stopped), loading("model", "folder"):
        raise Stopped("SIGTERM")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), encoding="utf-8")
    with pytest.raises(DataError, match="there is no tokenizer in the folder"):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_without_padding_is_refused(tmp_path: Path):
    without = write(tmp_path / "t", {token: i for i, token in enumerate((*SPECIAL, "폐"))}, special=SPECIAL[1:])
    with pytest.raises(DataError, match="no padding token"):
        load_tokenizer(str(without))


def test_a_model_is_not_made_for_a_vocabulary_with_gaps(tmp_path: Path):
    gap = write(tmp_path / "t", {**{token: i for i, token in enumerate(SPECIAL)}, "폐": 9})
    with pytest.raises(ConfigError, match="has repeated lines or gaps"):
        make_model(gap, tmp_path / "work")


ALIGNMENT = 64
"""Bytes; that of torch's allocator and of the widest vector registers of CPUs."""


@pytest.mark.parametrize("load", [load_bert, lambda folder: load_head_model(str(folder), "retrieval")])
def test_weights_are_aligned_so_that_last_bits_do_not_depend_on_where_a_file_was_mapped(tmp_path, load):
    config = BertConfig(
        vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12,
        max_position_embeddings=16,
    )  # fmt: skip
    written = BertForPreTraining(config)
    written.save_pretrained(tmp_path)
    mapped = BertForPreTraining.from_pretrained(tmp_path)
    assert any(parameter.data_ptr() % ALIGNMENT for parameter in mapped.parameters())  # else this test proves nothing

    read = load(tmp_path)
    assert not any(parameter.data_ptr() % ALIGNMENT for parameter in read.parameters())
    weights = written.state_dict() | written.bert.state_dict()
    for name, values in read.state_dict().items():
        torch.testing.assert_close(values, weights[name], rtol=0, atol=0)
    if isinstance(read, BertForPreTraining):
        assert read.cls.predictions.decoder.weight is read.bert.embeddings.word_embeddings.weight
