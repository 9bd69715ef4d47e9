"""The exported Hugging Face folder computes the same as the trained model."""

import json
import shutil

import pytest
import torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, BertForPreTraining

from bimed_dist.model.export import pad_vocabulary
from bimed_dist.model.packed import PackedPretraining
from bimed_dist.pretraining.checkpoints import CheckpointRecord
from bimed_dist.pretraining.snapshot import SavedState
from bimed_dist.recipe.pretraining import PretrainingSettings
from bimed_dist.workspace import CHECKPOINT_RECORD

from .conftest import TIMEOUT

SENTENCE = "환자는 chest CT상 both lung에 multiple metastatic nodule 소견 보임."


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory):
    job = prepared.copy(tmp_path_factory.mktemp("trained") / "work")
    job.run_here()
    return job


def test_the_quick_start_runs_on_an_exported_model(trained):
    folder = trained.folder() / "export"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    inputs = tokenizer(SENTENCE, return_tensors="pt", truncation=True)
    assert model(**inputs).last_hidden_state.shape == (1, inputs["input_ids"].shape[1], 32)
    assert "".join(token.removeprefix("##") for token in tokenizer.tokenize(SENTENCE)) == SENTENCE.replace(" ", "")
    assert model.config.vocab_size == len(tokenizer)


def test_an_exported_model_computes_the_hidden_states_of_its_checkpoint(trained):
    folder = trained.folder()
    tokenizer = AutoTokenizer.from_pretrained(folder / "export")
    newest = sorted((folder / "checkpoints").iterdir())[-1]
    exported = BertForPreTraining.from_pretrained(folder / "export")
    original = BertForPreTraining(exported.config)
    pad_vocabulary(original)
    size = original.config.vocab_size
    implementation = original.config._attn_implementation
    packed = PackedPretraining(original)
    SavedState(newest.glob("*.safetensors")).load_weights(packed)
    original.set_attn_implementation(implementation)
    inputs = tokenizer(SENTENCE, return_tensors="pt")
    with torch.no_grad():
        outputs, expected = (m.eval()(**inputs, output_hidden_states=True) for m in (exported, original))
    assert size % 64 == 0 and size > len(tokenizer)
    for a, b in zip(outputs.hidden_states, expected.hidden_states, strict=True):
        assert torch.equal(a, b)
    kept = expected.prediction_logits[..., : len(tokenizer)]
    torch.testing.assert_close(outputs.prediction_logits, kept, rtol=1e-5, atol=1e-6)  # another shape


def test_an_exported_model_is_safetensors_with_all_heads_and_a_card_without_gaps(trained):
    folder = trained.folder() / "export"
    assert (folder / "model.safetensors").is_file() and not list(folder.glob("*.bin"))
    _, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"]
    card = (folder / "README.md").read_text(encoding="utf-8")
    counts = json.loads((trained.folder() / "manifest.json").read_text(encoding="utf-8"))["counts"]
    assert f"MLM loss {counts['held_out']['mlm_loss']:.3f}" in card
    assert "None" not in card and "{" not in card
    assert f"MLM accuracy {counts['held_out']['mlm_accuracy']:.3f}" in card
    (model,) = (trained.work / "model").glob("*/manifest.json")
    rows = json.loads(model.read_text(encoding="utf-8"))["counts"]["rows"]
    assert f"| vocabulary | {rows:,} tokens |\n| token embeddings before training | {rows:,} random |" in card


def test_a_checkpoint_has_the_declared_keys(trained):
    newest = sorted((trained.folder() / "checkpoints").iterdir())[-1]
    record = json.loads((newest / CHECKPOINT_RECORD).read_text(encoding="utf-8"))
    assert record.keys() == {*CheckpointRecord.__annotations__, "digest"}
    assert record["length"].keys() == PretrainingSettings.LENGTH


def test_a_run_killed_after_its_last_checkpoint_is_finished_with_the_same_bytes(trained):
    folder = trained.folder()
    before = {p.name: p.read_bytes() for p in (*(folder / "export").iterdir(), folder / "metrics.jsonl")}
    (folder / "manifest.json").unlink()
    shutil.rmtree(folder / "export")
    trained.run_here(resume="auto")
    assert {p.name: p.read_bytes() for p in (*(folder / "export").iterdir(), folder / "metrics.jsonl")} == before


def test_a_finished_run_is_left_as_it_is_and_reported(trained, forks):
    before = {p: p.stat().st_mtime_ns for p in trained.folder().rglob("*") if p.is_file()}
    running = forks.start(trained.arguments("--resume", "auto"))
    assert running.wait(TIMEOUT) == [0]
    assert "already finished" in running.output()
    assert {p: p.stat().st_mtime_ns for p in trained.folder().rglob("*") if p.is_file()} == before
