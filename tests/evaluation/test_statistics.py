import numpy as np
import pytest
from scipy import stats

from bimed_dist.evaluation import statistics
from bimed_dist.evaluation.metrics import item_sums


def accuracies(right):
    """Items of the nsp kind whose main metric is the mean of `right`."""
    return item_sums("nsp", list(np.ones((len(right), 1))), list(np.asarray(right, dtype=float)[:, None]))


def test_mean_and_sd_are_of_a_sample_and_one_value_has_no_spread():
    assert statistics.mean_and_sd([1.0, 2.0, 4.0]) == (pytest.approx(7 / 3), pytest.approx(1.5275252316519468))
    assert statistics.mean_and_sd([0.5]) == (0.5, None)


def test_every_resample_has_as_many_items_as_the_split_and_follows_the_seed():
    counts = statistics.resample_counts(30, (1, 2))
    assert counts.shape == (statistics.RESAMPLES, 30)
    assert (counts.sum(axis=1) == 30).all()
    assert (counts == statistics.resample_counts(30, (1, 2))).all()
    assert (counts != statistics.resample_counts(30, (1, 3))).any()


def test_the_interval_agrees_with_scipys_percentile_bootstrap():
    right = np.random.default_rng(0).random(200) < 0.7
    counts = statistics.resample_counts(200, (1,))
    low, high = statistics.interval(statistics.resampled("nsp", [accuracies(right)], counts))
    expected = stats.bootstrap(
        (right.astype(float),), np.mean, method="percentile", n_resamples=5000, rng=np.random.default_rng(1)
    ).confidence_interval
    # Two independent sets of resamples of 200 zeros and ones: ends move in steps of 1/200.
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.011)


def test_a_models_score_on_a_resample_is_the_mean_over_its_seeds():
    counts = statistics.resample_counts(4, (1,))
    seeds = [accuracies([1, 1, 0, 0]), accuracies([1, 0, 0, 0])]
    both = statistics.resampled("nsp", seeds, counts)
    single = [statistics.resampled("nsp", [sums], counts) for sums in seeds]
    assert both == pytest.approx((single[0] + single[1]) / 2)


def test_equal_models_do_not_differ():
    resampled = np.random.default_rng(0).random(1000)
    found = statistics.compare(0.0, resampled, resampled)
    assert (found.p, found.interval) == (1.0, (0.0, 0.0))


def test_a_clear_difference_has_the_smallest_possible_p_which_is_not_zero():
    rng = np.random.default_rng(0)
    better = rng.random(400) < 0.9
    worse = rng.random(400) < 0.6
    counts = statistics.resample_counts(400, (1,))
    adapted, foundation = (statistics.resampled("nsp", [accuracies(x)], counts) for x in (better, worse))
    found = statistics.compare(0.3, adapted, foundation)
    assert found.p == pytest.approx(2 / 1001)
    assert found.interval[0] > 0
    assert statistics.compare(-0.3, foundation, adapted).p == found.p


def test_the_paired_p_value_is_near_that_of_the_paired_t_test():
    rng = np.random.default_rng(5)
    first = rng.random(500) < 0.75
    second = np.where(rng.random(500) < 0.8, first, rng.random(500) < 0.6)
    counts = statistics.resample_counts(500, (2,))
    adapted, foundation = (statistics.resampled("nsp", [accuracies(x)], counts) for x in (first, second))
    expected = stats.ttest_rel(first.astype(float), second.astype(float)).pvalue
    assert statistics.compare(0.0, adapted, foundation).p == pytest.approx(expected, abs=0.03)


def test_resamples_that_leave_the_metric_undefined_give_no_interval_and_no_p():
    undefined = np.array([0.1, np.nan, 0.3])
    assert statistics.interval(undefined) is None
    assert statistics.compare(0.1, undefined, np.zeros(3)).p is None


def test_holm_gives_the_worked_example():
    # 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1 raised to the value before it.
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.6, 0.7]) == [1.0, 1.0]
    assert statistics.holm([]) == []
