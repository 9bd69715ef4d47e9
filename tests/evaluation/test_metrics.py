import numpy as np
import pytest
from scipy import stats
from seqeval.metrics import f1_score as entity_f1
from seqeval.scheme import IOB2
from sklearn.metrics import average_precision_score, f1_score, hamming_loss, roc_auc_score

from bimed_dist.errors import DataError
from bimed_dist.evaluation.metrics import scores as metrics
from bimed_dist.evaluation.metrics import sums as metric_sums


def random_tags(rng, items=60, types=3):
    """Tag numbers with every kind of broken sequence among them."""
    return [rng.integers(0, 2 * types + 1, size=rng.integers(1, 12)) for _ in range(items)]


def test_sts_scores_are_scipys_correlations():
    rng = np.random.default_rng(0)
    gold, predicted = rng.uniform(0, 5, 50), rng.normal(size=50)
    found = metrics.scores("sts", list(gold[:, None]), list(predicted[:, None]))
    assert found == {
        "pearson": stats.pearsonr(gold, predicted).statistic,
        "spearman": stats.spearmanr(gold, predicted).statistic,
    }


def test_a_constant_prediction_has_no_correlation_and_is_not_scored_as_zero():
    with pytest.raises(DataError, match="all equal"):
        metrics.scores("sts", [np.array([1.0]), np.array([2.0])], [np.array([3.0]), np.array([3.0])])


def test_multilabel_scores_are_sklearns_at_threshold_one_half():
    rng = np.random.default_rng(1)
    gold, probabilities = rng.integers(0, 2, (40, 3)), rng.random((40, 3))
    probabilities[0] = 0.5
    found = metrics.scores("multilabel", list(gold), list(probabilities), ("a", "b", "c"))
    decided = probabilities >= 0.5
    assert found["macro_f1"] == f1_score(gold, decided, average="macro")
    assert found["micro_f1"] == f1_score(gold, decided, average="micro")
    assert found["f1:b"] == f1_score(gold[:, 1], decided[:, 1])
    assert found["subset_accuracy"] == (gold == decided).all(axis=1).mean()


@pytest.mark.parametrize("second, micro", [(0.1, 1.0), (0.9, 2 / 3)])
def test_a_label_that_no_row_has_does_not_lower_macro_f1_and_predicting_it_lowers_micro_f1(second, micro):
    gold, predicted = [np.array([1, 0]), np.array([0, 0])], [np.array([0.9, 0.1]), np.array([0.1, second])]
    found = metrics.scores("multilabel", gold, predicted, ("a", "absent"))
    assert (found["f1:a"], found["macro_f1"]) == (1.0, 1.0)
    assert found["micro_f1"] == pytest.approx(micro)
    assert "f1:absent" not in found
    sums = metric_sums.item_sums("multilabel", gold, predicted).sum(axis=0, keepdims=True)
    assert metric_sums.of_sums("multilabel", sums)["macro_f1"].tolist() == [1.0]


def test_a_label_that_is_there_and_never_predicted_has_f1_zero_without_a_warning():
    gold, predicted = [np.array([1, 1]), np.array([0, 0])], [np.array([0.9, 0.1]), np.array([0.1, 0.1])]
    found = metrics.scores("multilabel", gold, predicted, ("a", "missed"))
    assert (found["f1:a"], found["f1:missed"], found["macro_f1"]) == (1.0, 0.0, 0.5)


def test_a_sample_in_which_the_metric_does_not_exist_has_none():
    for kind, sums in (("mlm", np.zeros((1, 7))), ("multilabel", np.array([[1.0, 0.0, 0.0, 1.0, 0.0]]))):
        assert np.isnan(next(iter(metric_sums.of_sums(kind, sums, ("a",)).values()))).all()
    with pytest.raises(DataError, match="no row has any label"):
        metrics.scores("multilabel", [np.array([0])], [np.array([0.9])], ("a",))
    gold, same = list(np.arange(4.0)[:, None]), [np.array([0.1])] * 4
    constant = metric_sums.item_sums("sts", gold, same).sum(axis=0, keepdims=True)
    assert np.isnan(metric_sums.of_sums("sts", constant)["pearson"]).all()
    assert np.isnan(metric_sums.of_counts("sts", gold, same, (), np.ones((4, 1)))["spearman"]).all()
    one_kind = metric_sums.ranking(np.array([True, True, False]), np.arange(3.0), np.array([[2.0, 1, 0], [1, 1, 1]]).T)
    assert [np.isnan(values).tolist() for values in one_kind] == [[True, False]] * 2


def test_entity_f1_is_seqevals_in_strict_mode():
    rng = np.random.default_rng(2)
    gold = random_tags(rng)
    predicted = [np.where(rng.random(len(g)) < 0.3, rng.integers(0, 7, len(g)), g) for g in gold]
    names = metrics.tag_names(("A", "B", "C"))
    texts = [[[names[t] for t in item] for item in items] for items in (gold, predicted)]
    expected = entity_f1(*texts, mode="strict", scheme=IOB2)
    assert metrics.scores("ner", gold, predicted, ("A", "B", "C"))["f1"] == pytest.approx(expected, abs=0)


def test_next_sentence_accuracy_is_given_for_both_classes():
    gold = [np.array([x]) for x in (1, 1, 0, 0)]
    predicted = [np.array([x]) for x in (0.9, 0.2, 0.1, 0.4)]
    found = metrics.scores("nsp", gold, predicted)
    assert found == {
        "accuracy": 0.75,
        "is_next_accuracy": 0.5,
        "not_next_accuracy": 1.0,
        "mean_next_probability": pytest.approx(0.55),
        "mean_random_probability": pytest.approx(0.25),
    }


def cases():
    rng = np.random.default_rng(3)
    tags = random_tags(rng)
    flipped = [np.where(rng.random(len(t)) < 0.3, 0, t) for t in tags]
    yield "sts", list(rng.random((60, 1))), list(rng.random((60, 1))), ()
    yield "multilabel", list(rng.integers(0, 2, (60, 4))), list(rng.random((60, 4))), tuple("abcd")
    yield "ner", tags, flipped, tuple("ABC")
    yield "sts_classes", list(rng.integers(0, 11, (60, 1)) / 2), list(rng.integers(0, 6, (60, 1)).astype(float)), ()
    for classes in ("no yes", "a b c"):
        likely = rng.random((60, len(classes.split()))).round(1) + 0.01
        of_class = rng.integers(0, likely.shape[1], (60, 1))
        predicted = list(likely / likely.sum(axis=1, keepdims=True))
        if classes == "no yes":
            predicted = [metrics.with_screening(item, [0.4, 0.7]) for item in predicted]
        yield "classification", list(of_class), predicted, classes.split()
    yield "retrieval", [np.empty(0)] * 60, list(rng.integers(1, 5, (60, 2)).astype(float)), ("Korean", "English")
    yield "nsp", list(rng.integers(0, 2, (60, 1))), list(rng.random((60, 1))), ()
    yield "mlm", [np.empty(0)] * 60, list(rng.integers(1, 9, (60, 7)).astype(float)), ()


@pytest.mark.parametrize(
    ("kind", "gold", "predicted", "labels"), list(cases()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_resamples_have_the_metrics_of_their_items_written_out(kind, gold, predicted, labels):
    counts = np.random.default_rng(4).multinomial(60, [1 / 60] * 60, size=20).astype(float)
    counts[0] = 1
    sums = metric_sums.item_sums(kind, gold, predicted, labels)
    found = metric_sums.of_sums(kind, counts @ sums, labels)
    found |= metric_sums.of_counts(kind, gold, predicted, labels, counts.T)
    for row, times in enumerate(counts.astype(int)):
        sample = np.repeat(np.arange(60), times)
        expected = metrics.scores(kind, [gold[i] for i in sample], [predicted[i] for i in sample], labels)
        expected.pop("ece", None)  # It has no interval.
        assert {name: values[row] for name, values in found.items() if np.isfinite(values[row])} == pytest.approx(
            expected, abs=1e-12
        )


def test_a_label_that_a_sample_lacks_or_that_all_its_items_have_is_left_out_of_that_sample():
    rng = np.random.default_rng(9)
    gold, values = rng.integers(0, 2, (40, 3)), rng.random((40, 3)).round(1)
    gold[:, 1] = np.arange(40) < 1
    counts = np.ones((2, 40))
    counts[1, 0] = 0
    for row in range(2):
        at = np.flatnonzero(counts[row])
        expected = metrics.scores("multilabel", list(gold[at]), list(values[at]), tuple("abc"))
        sums = metric_sums.item_sums("multilabel", list(gold), list(values), tuple("abc"))
        found = metric_sums.of_sums("multilabel", counts @ sums, tuple("abc"))
        found |= metric_sums.of_counts("multilabel", list(gold), list(values), tuple("abc"), counts.T)
        assert {k: v[row] for k, v in found.items() if np.isfinite(v[row])} == pytest.approx(expected, abs=1e-12)
    assert "auroc:b" not in expected


def test_threshold_free_metrics_and_hamming_loss_are_sklearns_per_label_and_macro():
    rng = np.random.default_rng(7)
    gold, probabilities = rng.integers(0, 2, (50, 3)), rng.random((50, 3)).round(1)
    gold[:, 2] = 1
    found = metrics.scores("multilabel", list(gold), list(probabilities), ("a", "b", "always"))
    auroc = [roc_auc_score(gold[:, i], probabilities[:, i]) for i in (0, 1)]
    precision = [average_precision_score(gold[:, i], probabilities[:, i]) for i in (0, 1)]
    assert [found["auroc:a"], found["auroc:b"], found["macro_auroc"]] == pytest.approx([*auroc, np.mean(auroc)])
    assert [found["average_precision:a"], found["macro_average_precision"]] == pytest.approx(
        [precision[0], np.mean(precision)]
    )
    assert "auroc:always" not in found
    assert found["hamming_loss"] == hamming_loss(gold, probabilities >= 0.5)
    assert found["hamming_loss:b"] == (gold[:, 1] != (probabilities[:, 1] >= 0.5)).mean()


def test_tuned_thresholds_give_the_best_f1_of_all_thresholds():
    rng = np.random.default_rng(8)
    gold = rng.integers(0, 2, (60, 2))
    probabilities = np.clip(0.1 * gold + 0.3 * rng.random((60, 2)), 0, 1)
    thresholds = metrics.best_thresholds(gold, probabilities)
    for i, threshold in enumerate(thresholds):
        every = [f1_score(gold[:, i], probabilities[:, i] >= t) for t in np.linspace(0, 1, 1001)]
        assert f1_score(gold[:, i], probabilities[:, i] >= threshold) == pytest.approx(max(every))
    moved = metrics.moved_to_half(probabilities, thresholds)
    assert np.array_equal(moved >= 0.5, probabilities >= np.array(thresholds))
    assert np.array_equal(np.argsort(moved, axis=0), np.argsort(probabilities, axis=0))


def test_a_label_that_dev_can_not_tell_keeps_one_half_and_equal_thresholds_take_the_nearest_to_it():
    gold, probabilities = np.array([[0, 1], [0, 0]]), np.array([[0.9, 0.8], [0.2, 0.3]])
    assert metrics.best_thresholds(gold, probabilities) == [0.5, 0.5]


def test_a_probability_at_its_threshold_is_a_yes_on_the_moved_scale_too():
    assert metrics.moved_to_half(np.array([0.5, 0.3, 0.29]), [0.5, 0.3, 0.3]).tolist()[:2] == [0.5, 0.5]
    assert metrics.moved_to_half(np.array([0.29]), [0.3])[0] < 0.5
