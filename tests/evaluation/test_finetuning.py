import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from bimed_dist.errors import DataError, NonFiniteError
from bimed_dist.evaluation.models import finetuning
from bimed_dist.evaluation.models.encoding import encode, merge_windows
from bimed_dist.evaluation.models.loading import load_classifier
from bimed_dist.evaluation.task import Example
from bimed_dist.hugging_face import load_tokenizer

EXAMPLES = [
    Example(
        str(i),
        (" ".join(["폐", "결절", "소견", "mass", "없음"][: 1 + i % 5] * (1 + i % 3)),),
        (int(i % 5 > 2), int(i % 3 == 0)),
    )
    for i in range(40)
]


def rows_of(folder):
    return encode(load_tokenizer(str(folder)), "multilabel", "word", ("a", "b"), EXAMPLES, 64).rows


def single_row_items(rows):
    return [[row] for row in rows]


def fine_tuned(folder, seed=1, epochs=2):
    return finetuning.fine_tune(
        str(folder),
        "multilabel",
        ("a", "b"),
        single_row_items(rows_of(folder)),
        pad_id=0,
        learning_rate=1e-3,
        epochs=epochs,
        seed=seed,
        batch_size=8,
    )


def test_the_learning_rate_rises_for_a_tenth_of_the_steps_and_falls_to_zero():
    rates = [finetuning.learning_rate_at(step, 100, 1.0) for step in range(101)]
    assert rates[0] == 0.1
    assert rates[9] == rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == 0.0
    assert finetuning.learning_rate_at(0, 1, 1.0) == 1.0


def test_an_epoch_has_every_item_once_and_little_padding():
    lengths = np.random.default_rng(0).integers(5, 120, 1000)
    batches = finetuning.epoch_batches(lengths, 32, np.random.default_rng(1))
    assert sorted(np.concatenate(batches)) == list(range(1000))
    assert max(len(batch) for batch in batches) == 32
    padded = sum(len(batch) * lengths[batch].max() for batch in batches)
    assert padded / lengths.sum() < 1.05
    assert [batch.tolist() for batch in finetuning.epoch_batches(lengths, 32, np.random.default_rng(2))] != [
        batch.tolist() for batch in batches
    ]


def test_micro_batches_hold_every_row_once_within_the_token_budget():
    lengths = np.array([5, 900, 20, 20, 7, 300])
    batches = finetuning.micro_batches(lengths, max_tokens=600)
    assert sorted(np.concatenate(batches)) == list(range(6))
    assert all(len(batch) == 1 or len(batch) * lengths[batch].max() <= 600 for batch in batches)


def test_the_same_seed_gives_the_same_weights_bit_for_bit_and_another_seed_does_not(tiny_model):
    folder = tiny_model("m")
    first = fine_tuned(folder).state_dict()
    torch.rand(7)
    second, other = fine_tuned(folder).state_dict(), fine_tuned(folder, seed=2).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_training_lowers_the_loss_on_its_own_rows(tiny_model):
    folder = tiny_model("m")
    rows = rows_of(folder)
    torch.manual_seed(1)
    before = load_classifier(str(folder), "multilabel", ("a", "b")).eval()
    losses = []
    for model in (before, fine_tuned(folder, epochs=20)):
        with torch.inference_mode():
            logits = model(**finetuning.pad_rows(rows, 0)).logits
        losses.append(float(finetuning.summed_loss("multilabel", logits, rows)))
    assert losses[1] < 0.95 * losses[0]


def test_predictions_come_in_the_order_of_rows_and_do_not_depend_on_the_batch(tiny_model):
    folder = tiny_model("m")
    model, rows = fine_tuned(folder), rows_of(folder)
    together = finetuning.predict(model, "multilabel", rows, [2] * 40, 0)
    one_by_one = [finetuning.predict(model, "multilabel", [row], [2], 0)[0] for row in rows]
    # Padding changes the order of sums inside the attention kernel.
    np.testing.assert_allclose(together, one_by_one, atol=1e-5)


@pytest.mark.parametrize("kind", ["sts", "multilabel", "ner"])
def test_outputs_that_are_not_finite_are_refused_and_not_scored(kind, tiny_model):
    folder = tiny_model("m")
    target = {"sts": 1.0, "multilabel": (0, 1), "ner": ("O", "O")}[kind]
    labels = () if kind == "sts" else ("a", "b")
    rows = encode(load_tokenizer(str(folder)), kind, "word", labels, [Example("1", ("폐", "mass"), target)], 64).rows
    model = load_classifier(str(folder), kind, labels).eval()
    with torch.no_grad():
        model.classifier.bias[0] = torch.nan
    with pytest.raises(NonFiniteError, match="outputs are not finite"):
        finetuning.predict(model, kind, rows, [2], 0)


def test_an_infinite_gradient_behind_a_finite_loss_stops_the_training(tiny_model):
    folder = tiny_model("m")
    weights = load_file(folder / "model.safetensors")
    # The product stays the same; the squared gradient of the smaller factor is more than fp32 holds.
    weights["bert.encoder.layer.1.output.LayerNorm.weight"] *= 1e-25
    weights["bert.pooler.dense.weight"] *= 1e25
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(NonFiniteError, match="the gradient is not finite at step 1"):
        fine_tuned(folder)


def test_tokens_without_a_tag_and_padding_do_not_count_in_the_loss_of_ner(tiny_model):
    tokenizer = load_tokenizer(str(tiny_model("m")))
    examples = [Example("1", ("견은는", "폐"), ("B-A", "O")), Example("2", ("mass",), ("O",))]
    rows = encode(tokenizer, "ner", "word", ("A",), examples, 64).rows
    logits = torch.randn(2, len(rows[0].ids), 3, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.cross_entropy(
        torch.stack([logits[0, 1], logits[0, 4], logits[1, 1]]), torch.tensor([1, 0, 0])
    )
    mean = finetuning.summed_loss("ner", logits, rows).item() / finetuning.loss_terms("ner", rows)
    assert mean == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("kind", ["sts", "multilabel", "ner"])
def test_gradients_do_not_depend_on_the_micro_batch_size(kind, tiny_model):
    folder = tiny_model("m")
    examples = {
        "sts": [
            Example("1", ("폐", "mass"), 2.0),
            Example("2", ("lung " * 9, "a"), 5.0),
            Example("3", ("b", "c"), 1.0),
        ],
        "multilabel": EXAMPLES[:5],
        "ner": [Example("1", ("mass",) * 9, ("B-a",) * 9), Example("2", ("폐", "견은"), ("O", "B-b"))],
    }[kind]
    labels = () if kind == "sts" else ("a", "b")
    rows = encode(load_tokenizer(str(folder)), kind, "word", labels, examples, 64).rows
    results = []
    for max_tokens in (1, 16, 10_000):
        torch.manual_seed(0)
        model = load_classifier(str(folder), kind, labels).eval()
        loss = finetuning._backward(model, kind, single_row_items(rows), 0, max_tokens, (0, 0))
        with torch.inference_mode():
            whole = finetuning.summed_loss(kind, model(**finetuning.pad_rows(rows, 0)).logits, rows).item()
        assert loss == pytest.approx(whole / {"sts": 3, "multilabel": 10, "ner": 11}[kind], rel=1e-5)
        results.append((loss, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])))
    for loss, gradient in results[1:]:
        assert loss == pytest.approx(results[0][0], rel=1e-5)
        # Sums in another order: fp32 rounding.
        torch.testing.assert_close(gradient, results[0][1], atol=1e-6, rtol=1e-4)


def test_dropout_depends_on_seed_step_and_micro_batch_and_not_on_earlier_draws(tiny_model):
    folder = tiny_model("m")
    rows, gradients = rows_of(folder)[:8], {}
    for name, seed_and_step in {"first": (1, 5), "again": (1, 5), "next step": (1, 6), "other seed": (2, 5)}.items():
        finetuning.seed_torch(0)
        model = load_classifier(str(folder), "multilabel", ("a", "b")).train()
        torch.rand(len(gradients))
        finetuning._backward(model, "multilabel", single_row_items(rows), 0, 64, seed_and_step)
        gradients[name] = model.classifier.weight.grad
    assert torch.equal(gradients["first"], gradients["again"])
    assert not torch.equal(gradients["first"], gradients["next step"])
    assert not torch.equal(gradients["first"], gradients["other seed"])


def test_micro_batches_of_one_step_have_different_dropout(tiny_model):
    folder = tiny_model("m")
    row = rows_of(folder)[14]
    finetuning.seed_torch(0)
    model = load_classifier(str(folder), "multilabel", ("a", "b")).train()
    losses = [finetuning._backward(model, "multilabel", [[row]] * count, 0, 1, (1, 0)) for count in (1, 2)]
    assert losses[0] != pytest.approx(losses[1], rel=1e-4)


def test_a_step_of_32_long_rows_has_a_micro_batch_for_each_of_several_gpus():
    lengths = np.full(32, 512)
    counts = [len(finetuning.micro_batches(lengths, finetuning.gpu_micro_batch_tokens(n))) for n in (1, 2, 8)]
    assert counts == [1, 2, 8]


@pytest.mark.parametrize("kind", ["multilabel", "classification"])
def test_windows_of_a_text_are_merged_in_training_as_in_scoring(kind, tiny_model):
    folder, labels = tiny_model("m"), ("a", "b", "c")
    targets = {"multilabel": [(1, 0, 1), (0, 0, 1), (0, 1, 0)], "classification": ["a", "c", "b"]}[kind]
    texts = ["mass 폐 " * 15 + "없음 " * 30, "폐 결절", "lung " * 12 + "결절 " * 12]
    examples = [Example(str(i), (text,), target) for i, (text, target) in enumerate(zip(texts, targets, strict=True))]
    encoded = encode(load_tokenizer(str(folder)), kind, "word", labels, examples, 16, "windows")
    items = encoded.rows_by_item()
    assert [len(rows) for rows in items] == np.bincount(encoded.item_of_row).tolist() and len(encoded.rows) > 5
    torch.manual_seed(0)
    model = load_classifier(str(folder), kind, labels).eval()
    with torch.no_grad():
        model.classifier.weight.mul_(50)  # So that the windows of a text get different predictions.
    losses = [finetuning._backward(model, kind, items, 0, max_tokens, (0, 0)) for max_tokens in (1, 10_000)]
    # The expected loss of the predictions that are scored: largest window of a label, mean over windows of a class.
    of_rows = finetuning.predict(model, kind, encoded.rows, [1] * len(encoded.rows), 0)
    predictions = merge_windows(kind, of_rows, encoded.item_of_row)
    gold = np.stack(encoded.gold)
    if kind == "multilabel":
        expected = -np.log(np.where(gold == 1, predictions, 1 - np.stack(predictions))).mean()
    else:
        expected = -np.mean([np.log(item[int(number[0])]) for item, number in zip(predictions, gold, strict=True)])
    assert losses == pytest.approx([expected] * 2, rel=1e-4)


def test_a_checkpoint_without_its_encoder_is_refused_instead_of_scored_with_random_weights(tiny_model):
    folder = tiny_model("m")
    tensors = load_file(folder / "model.safetensors")
    kept = {name: tensor for name, tensor in tensors.items() if "layer.1" not in name}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match="16 weights of the encoder are missing"):
        load_classifier(str(folder), "sts", ())


@pytest.mark.parametrize("kind", ["multilabel", "ner"])
def test_the_head_of_a_fine_tuned_checkpoint_is_replaced_and_its_encoder_kept(kind, tiny_model):
    folder = tiny_model("m")
    labels = ("a", "b")
    torch.manual_seed(0)
    trained = load_classifier(str(folder), kind, labels)
    with torch.no_grad():
        trained.classifier.weight.fill_(7.0)
        trained.classifier.bias.fill_(7.0)
    trained.save_pretrained(folder.parent / "trained")
    load_tokenizer(str(folder)).save_pretrained(folder.parent / "trained")
    loaded = {}
    for name in ("m", "trained"):
        torch.manual_seed(3)
        loaded[name] = load_classifier(str(folder.parent / name), kind, labels)
    again, fresh = loaded["trained"].state_dict(), loaded["m"].state_dict()
    encoder = load_file(folder / "model.safetensors")
    assert again.keys() == fresh.keys()
    # A model for tags has no pooler, so the generator may be at another position: compare ranges, not values.
    assert again["classifier.weight"].abs().max() < 0.2 and not again["classifier.bias"].any()
    assert all(torch.equal(again[name], encoder[name]) for name in again if name.startswith("bert."))
    if kind == "multilabel":
        assert torch.equal(again["classifier.weight"], fresh["classifier.weight"])


def test_every_seed_initializes_a_different_head(tiny_model):
    folder = str(tiny_model("m"))
    heads = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        heads.append(load_classifier(folder, "multilabel", ("a", "b")).classifier.weight)
    assert torch.equal(heads[0], heads[2]) and not torch.equal(heads[0], heads[1])
