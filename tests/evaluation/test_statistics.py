import numpy as np
import pytest
from scipy import stats

from bimed_dist.evaluation.metrics import resampling, statistics


def answers(correct, units=None):
    """Return predictions of kind nsp whose accuracy is the mean of `correct`."""
    predicted = list(np.asarray(correct, dtype=float)[:, None])
    return resampling.prediction_sums("nsp", list(np.ones((len(correct), 1))), predicted, (), units)


def resample(models, metric="accuracy"):
    """Return the main metric of each model on the resamples."""
    return {model: samples[metric] for model, samples in resampling.resample(models, (1,)).items()}


def accuracies(correct, units=None):
    """Return the accuracy of one model with one seed on the resamples."""
    return resample({"m": [answers(correct, units)]})["m"]


def test_mean_and_sd_are_of_a_sample_and_one_value_has_no_spread():
    assert statistics.mean_and_sd([1.0, 2.0, 4.0]) == (pytest.approx(7 / 3), pytest.approx(1.5275252316519468))
    assert statistics.mean_and_sd([0.5]) == (0.5, None)


def all_counts(units, seed):
    return np.concatenate(list(resampling.resample_counts(units, seed)))


def test_every_resample_has_as_many_units_as_the_split_and_follows_the_seed():
    counts = all_counts(30, (1, 2))
    assert counts.shape == (resampling.RESAMPLES, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert (counts == all_counts(30, (1, 2))).all()
    assert (counts != all_counts(30, (1, 3))).any()
    # A unit's count is binomial: mean 1, variance 1 - 1/30; five standard errors.
    assert counts.var() == pytest.approx(1 - 1 / 30, abs=0.02)
    assert counts.mean(axis=0) == pytest.approx(1, abs=0.05)


def test_memory_is_bounded_and_the_blocks_do_not_change_the_resamples(monkeypatch):
    monkeypatch.setattr(resampling, "RESAMPLES", 100)
    whole = all_counts(30, (1,))
    monkeypatch.setattr(resampling, "BLOCK", 210)
    blocks = list(resampling.resample_counts(30, (1,)))
    assert [block.shape for block in blocks] == [(7, 30)] * 14 + [(2, 30)]
    assert (np.concatenate(blocks) == whole).all()


def test_the_interval_agrees_with_scipys_percentile_bootstrap():
    correct = np.random.default_rng(0).random(200) < 0.7
    low, high = statistics.interval(accuracies(correct))
    expected = stats.bootstrap(
        (correct.astype(float),), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(1)
    ).confidence_interval
    # Two independent sets of resamples of 200 zeros and ones: ends move in steps of 1/200.
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.011)


def test_a_models_score_on_a_resample_is_the_mean_over_its_seeds_and_all_models_share_the_resamples():
    seeds = [answers([1, 1, 0, 0]), answers([1, 0, 0, 0])]
    found = resample({"both": seeds, "first": seeds[:1], "second": seeds[1:]})
    assert found["both"] == pytest.approx((found["first"] + found["second"]) / 2)
    assert len(found["both"]) == resampling.RESAMPLES


def test_rows_of_one_document_are_drawn_together():
    # Ten documents of fifty rows that are all correct or all wrong carry no more information than ten rows.
    documents = np.repeat([1, 0, 1, 1, 0, 1, 0, 1, 1, 1], 50)
    names = [f"line {i // 50}" for i in range(500)]
    sums, unit = resampling.sum_by_unit(answers(documents).sums, names)
    assert sums[:, :2].tolist() == [[50.0, 50.0 * correct] for correct in (1, 0, 1, 1, 0, 1, 0, 1, 1, 1)]
    assert unit.tolist() == [i // 50 for i in range(500)]
    by_document = accuracies(documents, names)
    by_row = accuracies(documents[::50])
    assert statistics.interval(by_document) == pytest.approx(statistics.interval(by_row))
    too_narrow = statistics.interval(accuracies(documents))
    assert too_narrow[1] - too_narrow[0] < 0.2 < 0.4 < np.ptp(statistics.interval(by_document))


def test_metrics_that_depend_on_order_use_the_first_of_the_same_resamples(monkeypatch):
    monkeypatch.setattr(resampling, "BLOCK", 7_000)  # Blocks of 350, so that the thousandth is within one.
    rng = np.random.default_rng(2)
    gold, predicted = list(rng.random((20, 1))), list(rng.random((20, 1)))
    found = resampling.resample({"m": [resampling.prediction_sums("sts", gold, predicted, ())]}, (1,))["m"]
    assert {name: len(values) for name, values in found.items()} == {"pearson": 10_000, "spearman": 1_000}
    counts = all_counts(20, (1,))[:1000].astype(int)
    for index in (0, 349, 350, 999):
        x, y = (np.repeat(np.concatenate(values), counts[index]) for values in (gold, predicted))
        assert found["spearman"][index] == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
        assert found["pearson"][index] == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-12)


def test_equal_models_do_not_differ():
    values = np.random.default_rng(0).random(1000)
    found = statistics.compare(0.0, values, values, 200)
    assert (found.p, found.interval) == (1.0, (0.0, 0.0))


def test_models_with_the_same_predictions_do_not_differ_whatever_else_is_compared():
    rng = np.random.default_rng(3)
    same, other = (
        resampling.prediction_sums("sts", list(rng.random((23, 1))), list(rng.random((23, 1))), ()) for _ in range(2)
    )
    found = resample({"a": [same] * 2, "other": [other], "b": [same] * 2}, "pearson")
    assert statistics.compare(0.0, found["a"], found["b"], 23).p == 1.0


def test_a_clear_difference_has_the_smallest_possible_p_which_is_not_zero():
    rng = np.random.default_rng(0)
    better = rng.random(400) < 0.9
    worse = rng.random(400) < 0.6
    adapted, foundation = accuracies(better), accuracies(worse)
    found = statistics.compare(0.3, adapted, foundation, 400)
    assert found.p == pytest.approx(2 / 10_001)
    assert found.interval[0] > 0
    assert statistics.compare(-0.3, foundation, adapted, 400).p == found.p


def test_the_paired_p_value_is_near_that_of_the_paired_t_test():
    rng = np.random.default_rng(5)
    first = rng.random(500) < 0.75
    second = np.where(rng.random(500) < 0.8, first, rng.random(500) < 0.6)
    expected = stats.ttest_rel(first.astype(float), second.astype(float)).pvalue
    assert statistics.compare(0.0, accuracies(first), accuracies(second), 500).p == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(("units", "smallest"), [(2, 0.5), (3, 0.25), (4, 0.125), (5, 0.0625), (20, 2 / 10_001)])
def test_few_units_that_all_favour_one_model_have_the_smallest_p_of_an_exact_sign_flip_test(units, smallest):
    # Documents of ten rows: one model predicts eight of them correctly, the other five.
    better, worse = ([int(row < correct) for i in range(units) for row in range(10)] for correct in (8, 5))
    names = [f"document {i // 10}" for i in range(10 * units)]
    found = resample({"better": [answers(better, names)], "worse": [answers(worse, names)]})
    assert statistics.compare(0.3, found["better"], found["worse"], units).p == pytest.approx(smallest)


def test_resamples_that_leave_the_metric_undefined_give_no_interval_and_no_p():
    undefined = np.array([0.1, np.nan, 0.3])
    assert statistics.interval(undefined) is None
    assert statistics.compare(0.1, undefined, np.zeros(3), 30).p is None


def test_williams_test_gives_the_published_example():
    # The case of two dependent correlations that share a variable in the help of R's psych::r.test: t(100) = -0.89.
    found = statistics.williams(0.4, 0.5, 0.1, 103)
    assert (round(found.t, 2), found.df) == (-0.89, 100)
    assert found.p == pytest.approx(2 * stats.t.cdf(found.t, 100))
    assert statistics.williams(0.5, 0.4, 0.1, 103).t == -found.t


def test_williams_test_rejects_equally_good_models_at_its_nominal_rate():
    rng = np.random.default_rng(0)
    ps = []
    for _ in range(2000):
        gold, shared, one, other = rng.standard_normal((4, 60))
        r = np.corrcoef([gold, gold + shared + one, gold + shared + other])
        ps.append(statistics.williams(r[0, 1], r[0, 2], r[1, 2], 60).p)
    # Three standard errors of a share of 0.05 in 2,000 draws are 0.015.
    assert np.mean(np.array(ps) < 0.05) == pytest.approx(0.05, abs=0.015)


def test_williams_test_is_none_if_it_is_undefined():
    assert statistics.williams(0.9, 0.9, 1.0, 50) is None
    assert statistics.williams(0.4, 0.5, 0.1, 3) is None


def test_effect_sizes_equal_published_examples():
    # Cohen 1988: q of r = .50 and .25 is .549 - .255 = .294; h of P = .65 and .45 is 1.875 - 1.471 = .404.
    assert statistics.cohens_q(0.50, 0.25) == pytest.approx(0.294, abs=0.001)
    assert statistics.cohens_h(0.65, 0.45) == pytest.approx(0.404, abs=0.001)
    assert statistics.cohens_q(1.0, 0.5) is None
    first, second = [0.71, 0.74, 0.70, 0.73], [0.69, 0.70, 0.66]
    t = stats.ttest_ind(first, second).statistic
    assert statistics.hedges_g(first, second) == pytest.approx(t * np.sqrt(1 / 4 + 1 / 3) * (1 - 3 / (4 * 5 - 1)))
    assert statistics.hedges_g([0.5], [0.4, 0.3]) is None
    assert statistics.hedges_g([0.5, 0.5], [0.4, 0.4]) is None


def test_holm_gives_the_worked_example():
    # 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1 raised to the value before it.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.7]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_a_clear_difference_stays_clear_among_two_hundred_tests():
    assert statistics.holm([2 / (resampling.RESAMPLES + 1)] * 200)[0] < 0.05
