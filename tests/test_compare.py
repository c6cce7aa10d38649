"""Comparisons are those of scipy and statsmodels, on the right numbers."""

from __future__ import annotations

import numpy
import pytest
from scipy.stats import binom, norm

from distill.compare import compare, detectable, holm, p_value, pass_at, verdict, wilson


def outcomes(*runs: tuple[int, int, int]) -> tuple[dict, dict]:
    """Two rows' scores, from (first, second, how many) of 0 and 1."""
    one, other, i = {}, {}, 0
    for first, second, many in runs:
        for _ in range(many):
            one[str(i)], other[str(i)] = float(first), float(second)
            i += 1
    return one, other


def test_mcnemar_is_the_binomial_of_those_that_differ():
    [found] = compare("a", "b", {"x": outcomes((1, 1, 50), (1, 0, 7), (0, 1, 21), (0, 0, 22))})
    assert (found.n, found.first_only, found.second_only) == (100, 7, 21)
    assert found.p == pytest.approx(2 * binom.cdf(7, 28, 0.5))
    assert found.difference == 0.14 and found.verdict == "better"
    assert found.low < 0.14 < found.high


def test_the_interval_is_a_paired_bootstraps():
    [found] = compare("a", "b", {"x": outcomes((1, 1, 200), (1, 0, 60), (0, 1, 100), (0, 0, 140))})
    draws = numpy.random.default_rng(1).multinomial(500, [60 / 500, 100 / 500, 340 / 500], 20_000)
    low, high = numpy.percentile((draws[:, 1] - draws[:, 0]) / 500, [2.5, 97.5])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)


def test_without_any_difference_nothing_is_certain():
    [found] = compare("a", "b", {"x": outcomes((1, 1, 5), (0, 0, 5))})
    assert found.p == 1 and found.verdict == "tie"
    assert found.low < -0.2 and found.high > 0.2  # ten problems cannot show more


def test_only_problems_of_both_are_compared():
    one, other = outcomes((1, 0, 10))
    other |= {"more": 1.0}
    del other["0"]
    [found] = compare("a", "b", {"x": (one, other)})
    assert (found.n, found.first_only) == (9, 9)


def test_holm_is_over_the_benchmarks_and_all_together_is_a_test_of_its_own():
    scores = {
        "x": outcomes((1, 0, 1), (0, 1, 9), (0, 0, 90)),
        "y": outcomes((1, 0, 5), (0, 1, 6), (0, 0, 89)),
    }
    x, y, together = compare("a", "b", scores)
    assert x.p == pytest.approx(2 * binom.cdf(1, 10, 0.5))
    assert x.p_holm == pytest.approx(2 * x.p)  # the smaller of two
    assert y.p_holm == pytest.approx(y.p)
    assert (x.p < 0.05, x.verdict) == (True, "better") and y.verdict == "tie"
    assert together.benchmark is None and together.n == 200 and together.p_holm == together.p
    assert holm([]) == []


def test_a_difference_that_holm_takes_back_is_a_tie():
    real = outcomes((1, 0, 1), (0, 1, 8), (0, 0, 90))  # p = 0.039
    nothing = outcomes((1, 0, 3), (0, 1, 3), (0, 0, 90))
    first, *_ = compare("a", "b", {"x": real} | dict.fromkeys("yz", nothing))
    assert first.p < 0.05 < first.p_holm and first.verdict == "tie"


def test_means_over_attempts_are_permuted():
    one = {str(i): 0.25 for i in range(30)}
    [found] = compare("a", "b", {"x": (one, dict.fromkeys(one, 0.75))})
    assert found.difference == 0.5 and found.p < 0.001 and found.verdict == "better"


def test_few_means_are_flipped_in_all_ways_and_in_any_order():
    pairs = [(0.0, 0.5)] * 11 + [(0.25, 0.25)] * 40
    assert p_value(pairs) == p_value(pairs[::-1]) == pytest.approx(2 / 2**11)


def test_an_interval_has_a_width():
    [found] = compare("a", "b", {"x": outcomes((0, 1, 50))})
    assert found.low < 0.97 and found.high == 1.0


def test_detectable_is_found_four_times_out_of_five():
    n, share = 500, 0.2
    least = detectable(n, share)
    b, c = (share - least) / 2, (share + least) / 2
    draws = numpy.random.default_rng(0).multinomial(n, [b, c, 1 - share], 4000)
    z = (draws[:, 1] - draws[:, 0]) / numpy.sqrt(draws[:, 0] + draws[:, 1])
    assert numpy.mean(z > norm.isf(0.025)) == pytest.approx(0.8, abs=0.03)
    assert detectable(90, 0.2) > least
    assert detectable(5, 0.2) is None  # no difference could be found with five


def test_wilson_takes_means_over_attempts():
    assert wilson(6, 10) == pytest.approx((0.3127, 0.8318), abs=1e-4)
    low, high = wilson(6.5, 10)
    assert low > 0.3127 and high > 0.8318


def test_pass_at_k_is_the_unbiased_estimate():
    assert pass_at(0, 4, 2) == 0 and pass_at(4, 4, 1) == 1
    assert pass_at(1, 4, 2) == pytest.approx(0.5)
    assert pass_at(2, 4, 2) == pytest.approx(1 - 1 / 6)


def test_a_verdict_needs_a_difference_and_a_small_p():
    assert verdict(0.1, 0.01) == "better" and verdict(-0.1, 0.01) == "worse"
    assert verdict(0.1, 0.05) == "tie" and verdict(0.0, 0.01) == "tie"
