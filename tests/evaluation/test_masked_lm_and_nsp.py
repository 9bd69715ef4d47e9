import numpy as np
import pytest
import torch

from bimed_dist.errors import DataError, NonFiniteError
from bimed_dist.evaluation.metrics.definitions import MLM_SUMS
from bimed_dist.evaluation.metrics.scores import scores
from bimed_dist.evaluation.models import zero_shot
from bimed_dist.evaluation.models.loading import load_head_model
from bimed_dist.evaluation.readers.held_out import drop_unpaired, read_successors, read_windows
from bimed_dist.evaluation.task import Example, TaskInputs
from bimed_dist.hugging_face import load_tokenizer

from .conftest import WORDS, document_line


def task_inputs(folder, documents, max_length=32):
    lines = [document_line(i, language, paragraphs) for i, (language, paragraphs) in enumerate(documents)]
    (folder / "held_out.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return TaskInputs(folder, 1, {}, max_length)


def test_windows_hold_every_word_in_order_and_fit_the_limit(tmp_path):
    sentences = ["a b c", "thirty characters in this one.", "x" * 40, "d " * 30]
    examples = read_windows(task_inputs(tmp_path, [("en", [sentences[:2], sentences[2:]])])).splits["test"]
    assert all(sum(map(len, example.texts)) <= 30 for example in examples)
    found = [word for example in examples for word in example.texts]
    assert found == [word for word in " ".join(sentences).split() if len(word) <= 30]


def test_successors_are_neighbours_and_never_cross_documents(tmp_path):
    documents = [("ko", [["a", "b"], ["c", "d", "e"]]), ("en", [["f"]])]
    examples = read_successors(task_inputs(tmp_path, documents)).splits["test"]
    assert [example.texts for example in examples] == [("a", "b"), ("c", "d")]
    assert {example.language for example in examples} == {"ko"}


def test_masked_words_depend_on_the_seed_and_are_about_fifteen_percent():
    examples = [Example(f"{i}", ("word",) * 40, None) for i in range(200)]
    chosen = [zero_shot.words_to_mask(example, 1) for example in examples]
    assert np.mean(np.concatenate(chosen)) == pytest.approx(0.15, abs=0.015)
    assert all((zero_shot.words_to_mask(e, 1) == c).all() for e, c in zip(examples, chosen, strict=True))
    assert any((zero_shot.words_to_mask(e, 2) != c).any() for e, c in zip(examples, chosen, strict=True))
    assert zero_shot.words_to_mask(Example("x", ("a",), None), 3).tolist() == [True]


def test_every_vocabulary_predicts_the_same_words_and_characters(tiny_model):
    examples = [Example(f"{i}", tuple(WORDS[i : i + 6]), None) for i in range(12)]
    sums = []
    for name, words in (("letters", []), ("words", WORDS)):
        folder = str(tiny_model(name, words=words))
        tokenizer = load_tokenizer(folder)
        found = zero_shot.masked_lm_sums(load_head_model(folder, "mlm"), tokenizer, examples, 1, 64)
        sums.append(dict(zip(MLM_SUMS, np.sum(found, axis=0), strict=True)))
    assert sums[0]["characters"] == sums[1]["characters"]
    assert sums[0]["words"] == sums[1]["words"] == sums[1]["tokens"]
    assert sums[0]["tokens"] == sums[0]["characters"]


def test_bits_are_the_cross_entropy_of_masked_tokens_in_a_plain_forward_pass(tiny_model):
    folder = str(tiny_model("m"))
    tokenizer, model = load_tokenizer(folder), load_head_model(folder, "mlm")
    example = Example("1", ("폐", "견은는", "mass"), None)
    seed = next(s for s in range(99) if zero_shot.words_to_mask(example, s).tolist() == [False, True, False])
    ids = tokenizer(["폐 견은는 mass"], return_tensors="pt")["input_ids"]
    masked = ids.clone()
    masked[0, 2:5] = tokenizer.mask_token_id
    with torch.inference_mode():
        logits = model(masked).logits[0, 2:5]
    nats = torch.nn.functional.cross_entropy(logits, ids[0, 2:5], reduction="sum").item()
    found = scores("mlm", [], zero_shot.masked_lm_sums(model, tokenizer, [example], seed, 64))
    assert found["bits_per_character"] == pytest.approx(nats / np.log(2) / 3, rel=1e-5)
    assert found["loss"] == pytest.approx(nats / 3, rel=1e-5)


def test_an_unknown_word_costs_bits_per_character_and_is_never_right(tiny_model):
    folder = str(tiny_model("m", words=["폐"], letters=False))
    tokenizer, model = load_tokenizer(folder), load_head_model(folder, "mlm")
    with torch.no_grad():
        model.cls.predictions.bias[tokenizer.unk_token_id] = 50.0
    found = scores("mlm", [], zero_shot.masked_lm_sums(model, tokenizer, [Example("1", ("abcd",), None)], 1, 64))
    assert found["bits_per_character"] == pytest.approx(zero_shot.UNKNOWN_BITS, abs=1e-4)
    assert found["accuracy"] == found["word_accuracy"] == 0.0


def test_truncated_words_are_not_masked(tiny_model):
    folder = str(tiny_model("m", words=[]))
    example = Example("1", ("mass",) * 10, None)
    found = zero_shot.masked_lm_sums(load_head_model(folder, "mlm"), load_tokenizer(folder), [example] * 3, 1, 13)
    words = MLM_SUMS.index("words")
    # 11 tokens hold two words of four letters and three letters of the third.
    assert found[0][words] == zero_shot.words_to_mask(example, 1)[:2].sum()


def test_random_sentences_come_from_another_document_of_the_same_language():
    examples = [
        Example(f"d{d} sentence {s}", (f"{d}.{s}", f"{d}.{s + 1}"), None, "ko" if d < 3 else "en", f"d{d}")
        for d in range(6)
        for s in range(4)
    ]
    pairs, is_next = zero_shot.sentence_pairs(examples, 1)
    assert is_next.tolist() == [1, 0] * 24
    assert [pairs[2 * i] for i in range(24)] == [example.texts for example in examples]
    for (first, second), label in zip(pairs, is_next, strict=True):
        same_document = first[0] == second[0]
        assert same_document == bool(label)
        assert (first[0] < "3") == (second[0] < "3")
    assert zero_shot.sentence_pairs(examples, 2)[0] != pairs
    with pytest.raises(DataError, match="a single held-out document in ko"):
        zero_shot.sentence_pairs(examples[:4], 1)


def test_a_language_with_a_single_document_is_dropped_from_the_pairs_with_a_note():
    examples = [
        Example(f"d{d} sentence {s}", ("a", "b"), None, "en" if d else "ko", f"d{d}") for d in range(3) for s in (1, 3)
    ]
    kept, notes = drop_unpaired(examples)
    assert kept == tuple(examples[2:])
    assert notes == ("2 pairs left out: a single held-out document in ko",)
    assert drop_unpaired(kept) == (kept, ())
    assert drop_unpaired(examples[:2])[0] == ()


def test_outputs_that_are_not_finite_are_refused_and_not_scored(tiny_model):
    folder = str(tiny_model("m"))
    tokenizer, model, pairs = load_tokenizer(folder), load_head_model(folder, "mlm"), load_head_model(folder, "nsp")
    with torch.no_grad():
        model.cls.predictions.bias[7] = torch.nan
        pairs.cls.seq_relationship.bias[1] = torch.inf
    with pytest.raises(NonFiniteError, match="outputs are not finite"):
        zero_shot.masked_lm_sums(model, tokenizer, [Example("1", ("폐",), None)], 1, 64)
    with pytest.raises(NonFiniteError, match="outputs are not finite"):
        zero_shot.next_probabilities(pairs, tokenizer, [("폐", "결절")], 64)


def test_next_probability_is_output_0_of_the_head(tiny_model):
    folder = str(tiny_model("m"))
    model = load_head_model(folder, "nsp")
    with torch.no_grad():
        model.cls.seq_relationship.weight.zero_()
        model.cls.seq_relationship.bias.copy_(torch.tensor([2.0, 0.0]))
    found = zero_shot.next_probabilities(model, load_tokenizer(folder), [("폐", "결절"), ("mass", "lung")], 64)
    assert found == pytest.approx([1 / (1 + np.exp(-2.0))] * 2, rel=1e-6)


def test_a_checkpoint_without_the_heads_weights_has_no_head_model(tiny_model):
    bare, whole = str(tiny_model("bare", heads=False)), str(tiny_model("whole"))
    assert load_head_model(bare, "mlm") is None
    assert load_head_model(bare, "nsp") is None
    assert load_head_model(whole, "mlm") is not None
    assert load_head_model(whole, "nsp") is not None
