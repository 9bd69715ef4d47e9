"""Other encoders than BERT: RoBERTa, ModernBERT and ELECTRA with random weights on every kind of task."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    ElectraConfig,
    ElectraForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
)

from bimed_dist.evaluation import stage
from bimed_dist.hugging_face import for_split_words, load_tokenizer
from bimed_dist.manifest import write_manifest
from bimed_dist.recipe.evaluation import EvaluatedModel, TaskSettings

from .conftest import document_line

TEXT = [
    "폐 결절 소견 없음 흉수 관찰됨",
    "the lung shows a small nodule without effusion",
    "mass lung nodule 폐렴 의심",
] * 4
SHAPE = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 66,
}  # fmt: skip
SPECIAL = {
    "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>",
    "unk_token": "<unk>", "mask_token": "<mask>",
}  # fmt: skip


def byte_level_folder(folder: Path, kind: str) -> Path:
    """Write a RoBERTa or ModernBERT with a byte-level tokenizer that adds no space before the first word."""
    folder.mkdir(parents=True)
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXT, vocab_size=400, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, model_max_length=64, model_input_names=["input_ids", "attention_mask"],
        **SPECIAL,
    ).save_pretrained(folder)  # fmt: skip
    size, ids = len(load_tokenizer(str(folder))), {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    torch.manual_seed(0)
    if kind == "roberta":
        model = RobertaForMaskedLM(RobertaConfig(vocab_size=size, type_vocab_size=1, **SHAPE, **ids))
    else:
        model = ModernBertForMaskedLM(ModernBertConfig(vocab_size=size, cls_token_id=0, sep_token_id=2, **SHAPE, **ids))
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "work" / "corpus" / "c"
    folder.mkdir(parents=True)
    texts = [("ko", "결절 소견"), ("ko", "흉수 없음"), ("en", "lung mass"), ("en", "small nodule")]
    lines = [document_line(i, lang, [[text, f"{text} today", text]]) for i, (lang, text) in enumerate(texts)]
    file = folder / "held_out.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    write_manifest(folder, stage="corpus", name="c", settings={}, inputs={}, counts={}, files=[file], seconds=0)
    return tmp_path / "work"


def test_roberta_modernbert_and_electra_run_on_every_kind_of_task(
    korsts, bc5cdr, corpus, tiny_model, tmp_path, make_recipe
):
    # ELECTRA and a RoBERTa with BERT's tokenizer, as Korean RoBERTas have it.
    bert = load_tokenizer(str(tiny_model("bert")))
    torch.manual_seed(0)
    for name, made in (
        ("electra", ElectraForMaskedLM(ElectraConfig(vocab_size=len(bert), embedding_size=16, **SHAPE))),
        ("ko-roberta", RobertaForMaskedLM(RobertaConfig(vocab_size=len(bert), type_vocab_size=1, **SHAPE))),
    ):
        made.save_pretrained(tmp_path / "models" / name)
        bert.save_pretrained(tmp_path / "models" / name)
    (tmp_path / "pairs").mkdir()
    for language in ("ko", "en"):
        (tmp_path / "pairs" / f"covid19_cdc.{language}.txt").write_text("\n".join(TEXT[:3]) + "\n", encoding="utf-8")
    for name in ("roberta", "modernbert"):
        byte_level_folder(tmp_path / "models" / name, name)
    names = ("electra", "ko-roberta", "roberta", "modernbert")
    models = {name: EvaluatedModel(folder=str(tmp_path / "models" / name)) for name in names}
    tasks = {
        "sts": TaskSettings(task="korsts", path="korsts"),
        "ner": TaskSettings(task="bc5cdr", path="bc5cdr"),
        "ct": TaskSettings(
            task="synthetic_ct", max_rows={"train": 30, "dev": 20, "test": 20, "external": 20}, max_length=64
        ),
        "long": TaskSettings(
            task="synthetic_ct",
            max_rows={"train": 30, "dev": 20, "test": 20, "external": 20},
            max_length=32,
            long_texts="windows",
            pooling="mean",
        ),
        "mlm": TaskSettings(task="mlm", corpus="c", max_length=32),
        "pairs": TaskSettings(task="covid19_retrieval", path="pairs"),
        "nsp": TaskSettings(task="nsp", corpus="c"),
    }
    stage.run(make_recipe(models, tasks, seeds=(1,)), corpus)
    results = json.loads((corpus / "evaluation" / "results.json").read_text(encoding="utf-8"))
    assert results["failures"] == []
    scored = {(row["task"], row["model"]) for row in results["scores"]}
    assert scored == {(task, name) for task in tasks.keys() - {"nsp"} for name in names}
    assert results["tasks"]["nsp"]["not_applicable"] == dict.fromkeys(names, "the checkpoint has no NSP head")


def test_single_words_are_tokenized_as_in_running_text(tmp_path, tiny_model):
    tokenizer = load_tokenizer(str(byte_level_folder(tmp_path / "r", "roberta")))
    words = ["lung", "nodule", "폐렴"]
    running = tokenizer.tokenize(" lung nodule 폐렴")
    assert running[0].startswith("Ġ")
    tokens = for_split_words(tokenizer)(words, is_split_into_words=True, add_special_tokens=False)
    assert tokenizer.convert_ids_to_tokens(tokens["input_ids"]) == running
    assert [tokens.word_ids()[0], tokens.word_ids()[-1]] == [0, 2]
    # Unchanged, it tokenizes words as if they were inside of words; texts still use the original tokenizer.
    raw = tokenizer(words, is_split_into_words=True, add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(raw) != running
    bert = load_tokenizer(str(tiny_model("bert")))
    assert for_split_words(bert) is bert
