"""Scores against scipy, scikit-learn and seqeval, and scores of resamples against those of the written-out sample."""

import numpy as np
import pytest
from scipy import stats
from seqeval.metrics import classification_report
from seqeval.scheme import IOB2
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, hamming_loss, roc_auc_score

from bimed_dist.errors import DataError
from bimed_dist.evaluation.metrics.definitions import METRICS, find_metric, tag_names
from bimed_dist.evaluation.metrics.ranking import metrics_from_counts, ranking
from bimed_dist.evaluation.metrics.scores import scores
from bimed_dist.evaluation.metrics.sums import item_sums, metrics_from_sums
from bimed_dist.evaluation.metrics.thresholds import (
    best_thresholds,
    rescale_to_half,
    screening_thresholds,
    with_screening,
)

EXACT = 1e-12


def random_tags(rng, items=60, types=3):
    """Tag numbers with every kind of broken sequence among them."""
    return [rng.integers(0, 2 * types + 1, size=rng.integers(1, 12)) for _ in range(items)]


def test_similarity_scores_equal_scipys_correlations():
    rng = np.random.default_rng(0)
    for gold in (rng.uniform(0, 5, 50), rng.integers(0, 6, 50).astype(float)):
        predicted = rng.normal(size=50).astype(np.float32)
        assert scores("sts", list(gold[:, None]), list(predicted[:, None])) == pytest.approx(
            {
                "pearson": stats.pearsonr(gold, predicted).statistic,
                "spearman": stats.spearmanr(gold, predicted).statistic,
            },
            abs=EXACT,
        )


@pytest.mark.parametrize("constant", [3.0, 0.1])
def test_a_constant_prediction_is_refused_and_not_scored_as_zero(constant):
    gold = [np.array([float(i)]) for i in range(7)]
    with pytest.raises(DataError, match="all equal"):
        scores("sts", gold, [np.array([constant])] * 7)
    with pytest.raises(DataError, match="not finite"):
        scores("sts", gold, [np.array([np.nan])] * 7)


def test_multilabel_scores_equal_sklearns_at_threshold_one_half():
    rng = np.random.default_rng(7)
    gold, probabilities = rng.integers(0, 2, (50, 3)), rng.random((50, 3)).round(1)
    gold[:, 2] = 1
    decided = probabilities >= 0.5
    auroc = [roc_auc_score(gold[:, i], probabilities[:, i]) for i in (0, 1)]
    precision = [average_precision_score(gold[:, i], probabilities[:, i]) for i in (0, 1)]
    expected = {
        "macro_f1": f1_score(gold, decided, average="macro"),
        "micro_f1": f1_score(gold, decided, average="micro"),
        "macro_auroc": np.mean(auroc),
        "macro_average_precision": np.mean(precision),
        "hamming_loss": hamming_loss(gold, decided),
        "subset_accuracy": accuracy_score(gold, decided),
    }
    for i, label in enumerate(("a", "b", "always")):
        expected[f"f1:{label}"] = f1_score(gold[:, i], decided[:, i])
        expected[f"hamming_loss:{label}"] = (gold[:, i] != decided[:, i]).mean()
    expected |= {"auroc:a": auroc[0], "auroc:b": auroc[1]}
    expected |= {"average_precision:a": precision[0], "average_precision:b": precision[1]}
    found = scores("multilabel", list(gold), list(probabilities), ("a", "b", "always"))
    assert found == pytest.approx(expected, abs=EXACT)
    assert list(found)[:6] == list(expected)[:6]


@pytest.mark.parametrize("second, micro", [(0.1, 1.0), (0.9, 2 / 3)])
def test_a_label_that_no_row_has_does_not_lower_macro_f1_but_predicting_it_lowers_micro_f1(second, micro):
    gold, predicted = [np.array([1, 0]), np.array([0, 0])], [np.array([0.9, 0.1]), np.array([0.1, second])]
    found = scores("multilabel", gold, predicted, ("a", "absent"))
    assert (found["f1:a"], found["macro_f1"]) == (1.0, 1.0)
    assert found["micro_f1"] == pytest.approx(micro)
    assert "f1:absent" not in found


@pytest.mark.filterwarnings("error")
def test_a_label_that_is_never_predicted_has_f1_zero_without_a_warning():
    gold, predicted = [np.array([1, 1]), np.array([0, 0])], [np.array([0.9, 0.1]), np.array([0.1, 0.1])]
    found = scores("multilabel", gold, predicted, ("a", "missed"))
    assert (found["f1:a"], found["f1:missed"], found["macro_f1"]) == (1.0, 0.0, 0.5)


@pytest.mark.filterwarnings("error")
def test_metrics_that_do_not_exist_are_not_a_number_in_samples_and_refused_as_scores():
    for kind, sums in (("mlm", np.zeros((1, 7))), ("multilabel", np.array([[1.0, 0.0, 0.0, 1.0, 0.0]]))):
        assert np.isnan(next(iter(metrics_from_sums(kind, sums, ("a",)).values()))).all()
    with pytest.raises(DataError, match="no row has any label"):
        scores("multilabel", [np.array([0])], [np.array([0.9])], ("a",))
    with pytest.raises(DataError, match="no word could be masked"):
        scores("mlm", [], [np.zeros(7)])
    gold, same = list(np.arange(4.0)[:, None]), [np.array([0.1])] * 4
    constant = item_sums("sts", gold, same).sum(axis=0, keepdims=True)
    assert np.isnan(metrics_from_sums("sts", constant)["pearson"]).all()
    assert np.isnan(metrics_from_counts("sts", gold, same, (), np.ones((4, 1)))["spearman"]).all()
    one_kind = ranking(np.array([True, True, False]), np.arange(3.0), np.array([[2.0, 1, 0], [1, 1, 1]]).T)
    assert [np.isnan(values).tolist() for values in one_kind] == [[True, False]] * 2


@pytest.mark.parametrize("seed", range(5))
def test_entity_scores_equal_seqevals_in_strict_mode(seed):
    rng = np.random.default_rng(seed)
    gold = random_tags(rng)
    predicted = [np.where(rng.random(len(g)) < 0.3, rng.integers(0, 7, len(g)), g) for g in gold]
    names = tag_names(("A", "B", "C"))
    texts = [[[names[t] for t in item] for item in items] for items in (gold, predicted)]
    expected = classification_report(*texts, mode="strict", scheme=IOB2, output_dict=True)["micro avg"]
    found = scores("ner", gold, predicted, ("A", "B", "C"))
    reference = {"f1": "f1-score", "precision": "precision", "recall": "recall"}
    assert {name: found[name] for name in reference} == pytest.approx(
        {name: expected[theirs] for name, theirs in reference.items()}, abs=EXACT
    )


def test_rows_without_any_entity_have_f1_zero_and_no_class_f1():
    outside = [np.zeros(3, dtype=int)]
    assert scores("ner", outside, outside, ("A",)) == {"f1": 0.0, "precision": 0.0, "recall": 0.0}


def test_next_sentence_accuracy_is_given_for_both_classes():
    gold = [np.array([x]) for x in (1, 1, 0, 0)]
    predicted = [np.array([x]) for x in (0.9, 0.2, 0.1, 0.4)]
    assert scores("nsp", gold, predicted) == {
        "accuracy": 0.75,
        "is_next_accuracy": 0.5,
        "not_next_accuracy": 1.0,
        "mean_next_probability": pytest.approx(0.55),
        "mean_random_probability": pytest.approx(0.25),
    }


def cases():
    """(kind, gold, predicted, labels) of every kind, 60 items each."""
    rng = np.random.default_rng(3)
    tags = random_tags(rng)
    flipped = [np.where(rng.random(len(t)) < 0.3, 0, t) for t in tags]
    yield "sts", list(rng.random((60, 1))), list(rng.random((60, 1))), ()
    yield "multilabel", list(rng.integers(0, 2, (60, 4))), list(rng.random((60, 4))), tuple("abcd")
    yield "ner", tags, flipped, tuple("ABC")
    yield "sts_classes", list(rng.integers(0, 11, (60, 1)) / 2), list(rng.integers(0, 6, (60, 1)).astype(float)), ()
    for classes in ("no yes", "a b c"):
        likely = rng.random((60, len(classes.split()))).round(1) + 0.01
        gold_class = rng.integers(0, likely.shape[1], (60, 1))
        predicted = list(likely / likely.sum(axis=1, keepdims=True))
        if classes == "no yes":
            predicted = [with_screening(item, [0.4, 0.7]) for item in predicted]
        yield "classification", list(gold_class), predicted, classes.split()
    yield "retrieval", [np.empty(0)] * 60, list(rng.integers(1, 5, (60, 2)).astype(float)), ("Korean", "English")
    yield "nsp", list(rng.integers(0, 2, (60, 1))), list(rng.random((60, 1))), ()
    yield "mlm", [np.empty(0)] * 60, list(rng.integers(1, 9, (60, 7)).astype(float)), ()


@pytest.mark.parametrize(
    ("kind", "gold", "predicted", "labels"), list(cases()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_resample_has_the_scores_of_its_items_written_out(kind, gold, predicted, labels):
    counts = np.random.default_rng(4).multinomial(60, [1 / 60] * 60, size=20).astype(float)
    counts[0] = 1
    sums = item_sums(kind, gold, predicted, labels)
    samples = metrics_from_sums(kind, counts @ sums, labels)
    samples |= metrics_from_counts(kind, gold, predicted, labels, counts.T)
    for row, times in enumerate(counts.astype(int)):
        sample = np.repeat(np.arange(60), times)
        expected = scores(kind, [gold[i] for i in sample], [predicted[i] for i in sample], labels)
        expected.pop("ece", None)  # It is not resampled.
        assert {name: values[row] for name, values in samples.items() if np.isfinite(values[row])} == pytest.approx(
            expected, abs=EXACT
        )


def test_a_label_that_a_resample_lacks_or_that_all_its_items_have_is_left_out_of_its_means():
    rng = np.random.default_rng(9)
    gold, values = rng.integers(0, 2, (40, 3)), rng.random((40, 3)).round(1)
    gold[:, 1] = np.arange(40) < 1
    counts = np.ones((2, 40))
    counts[1, 0] = 0
    sums = item_sums("multilabel", list(gold), list(values), tuple("abc"))
    samples = metrics_from_sums("multilabel", counts @ sums, tuple("abc"))
    samples |= metrics_from_counts("multilabel", list(gold), list(values), tuple("abc"), counts.T)
    for row in range(2):
        kept = np.flatnonzero(counts[row])
        expected = scores("multilabel", list(gold[kept]), list(values[kept]), tuple("abc"))
        found = {name: v[row] for name, v in samples.items() if np.isfinite(v[row])}
        assert found == pytest.approx(expected, abs=EXACT)
    assert "auroc:b" not in expected


@pytest.mark.parametrize(
    ("kind", "gold", "predicted", "labels"), list(cases()), ids=lambda v: v if isinstance(v, str) else ""
)
def test_every_score_has_a_title_and_the_direction_of_its_definition(kind, gold, predicted, labels):
    errors = {"hamming_loss", "brier_score", "ece", "bits_per_character", "loss", "mean_random_probability"}
    for name in scores(kind, gold, predicted, labels):
        metric = find_metric(name)
        assert metric.title and metric.lower_is_better == (metric.name in errors), name
    with pytest.raises(KeyError):
        find_metric("lossless")
    assert all(metric.name == name for name, metric in METRICS.items())


def test_tuned_thresholds_reach_the_best_f1_of_all_thresholds():
    rng = np.random.default_rng(8)
    gold = rng.integers(0, 2, (60, 2))
    probabilities = np.clip(0.1 * gold + 0.3 * rng.random((60, 2)), 0, 1)
    thresholds = best_thresholds(gold, probabilities)
    for i, threshold in enumerate(thresholds):
        every = [f1_score(gold[:, i], probabilities[:, i] >= t) for t in np.linspace(0, 1, 1001)]
        assert f1_score(gold[:, i], probabilities[:, i] >= threshold) == pytest.approx(max(every))
    rescaled = rescale_to_half(probabilities, thresholds)
    assert np.array_equal(rescaled >= 0.5, probabilities >= np.array(thresholds))
    assert np.array_equal(np.argsort(rescaled, axis=0), np.argsort(probabilities, axis=0))


def test_a_label_that_every_or_no_dev_row_has_keeps_one_half_and_ties_go_to_the_nearest_threshold():
    gold, probabilities = np.array([[0, 1], [0, 0]]), np.array([[0.9, 0.8], [0.2, 0.3]])
    assert best_thresholds(gold, probabilities) == [0.5, 0.5]


def test_a_probability_at_its_threshold_is_positive_on_the_rescaled_scale_too():
    assert rescale_to_half(np.array([0.5, 0.3, 0.29]), [0.5, 0.3, 0.3]).tolist()[:2] == [0.5, 0.5]
    assert rescale_to_half(np.array([0.29]), [0.3])[0] < 0.5


def test_screening_without_negative_rows_has_no_threshold_and_no_share():
    assert screening_thresholds(np.array([True, True]), np.array([0.3, 0.4])) == [None, None]
    assert np.isnan(with_screening(np.array([0.3, 0.7]), [None, 0.5])).tolist() == [False, False, True, False]
