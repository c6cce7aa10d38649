"""Whether one way of answering is better than another: on the same problems, or it is a tie.

All tests are scipy's and statsmodels'. Shares and scores are 0 to 1; a problem's score is the mean over its
attempts and runs, and what failed or never ran is 0.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from .results import Comparison, Verdict

LEVEL = 0.05
"""A difference that chance alone would make less often than this is called real."""
POWER = 0.8
RESAMPLES = 2000
FEW = 10
"""Below so many problems that tell two rows apart, a bootstrap is too narrow: of none it says "certain"."""


def wilson(right: float, n: int) -> tuple[float, float]:
    """95% interval of a share. right: may be a fraction, where scores are means over attempts."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(right, n, alpha=LEVEL, method="wilson")
    return float(low), float(high)


def compare(
    first: str,
    second: str,
    scores: Mapping[str, tuple[Mapping[Hashable, float], Mapping[Hashable, float]]],
) -> list[Comparison]:
    """Two rows on each benchmark, and on all together where there are several.

    scores: by benchmark, each row's score per problem. Only problems of both count. Holm's correction is
    over the benchmarks; "all together" is one test of its own.
    """
    paired = {}
    for benchmark, (one, other) in scores.items():
        if both := sorted(one.keys() & other.keys()):
            paired[benchmark] = [(one[key], other[key]) for key in both]
    ps = [p_value(pairs) for pairs in paired.values()]
    found = [
        _comparison(first, second, benchmark, pairs, p, adjusted)
        for (benchmark, pairs), p, adjusted in zip(paired.items(), ps, holm(ps), strict=True)
    ]
    if len(paired) > 1:
        together = [pair for pairs in paired.values() for pair in pairs]
        p = p_value(together)
        found.append(_comparison(first, second, None, together, p, p))
    return found


def p_value(pairs: Sequence[tuple[float, float]]) -> float:
    """Two-sided: McNemar's exact test; where scores are means, a permutation test that flips signs."""
    b, c = discordant(pairs)
    if b == c:
        return 1.0
    if all(score in (0, 1) for pair in pairs for score in pair):
        from statsmodels.stats.contingency_tables import mcnemar

        return float(mcnemar([[0, b], [c, 0]], exact=True).pvalue)
    import numpy
    from scipy.stats import permutation_test

    # Sorted, so that it does not depend on the order of the problems; those alike have no sign to flip.
    differing = sorted((other - one, one, other) for one, other in pairs if one != other)
    one, other = (numpy.array([pair[i] for pair in differing]) for i in (1, 2))
    for flips in (9_999, 99_999):
        p = permutation_test(
            (other, one),
            lambda x, y, axis: numpy.mean(x - y, axis=axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=flips,  # all of them, where there are no more
            batch=max(1, 4_000_000 // len(differing)),  # 32 MB at a time
            rng=numpy.random.default_rng(0),
        ).pvalue
        if p > 0.001:
            break  # clear enough; a small one is worth more flips
    return float(p)


def holm(ps: Sequence[float]) -> list[float]:
    if not ps:
        return []
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(ps, alpha=LEVEL, method="holm")[1]]


def interval(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """95% interval of the mean difference, second minus first.

    Percentiles of a paired bootstrap over problems; where few tell the rows apart, or all of them for one row,
    Bonett and Price's (2012) for paired proportions, which adds one problem to each side.
    """
    import numpy

    differences = numpy.array([other - one for one, other in pairs])
    if numpy.count_nonzero(differences) < FEW or min(discordant(pairs)) == 0:
        from scipy.stats import norm

        n = len(pairs) + 2
        b, c = (float((size + 1) / n) for size in discordant(pairs))
        spread = norm.isf(LEVEL / 2) * ((b + c - (c - b) ** 2) / n) ** 0.5
        return max(-1.0, c - b - spread), min(1.0, c - b + spread)
    from scipy.stats import bootstrap

    found = bootstrap(
        (differences,),
        numpy.mean,
        n_resamples=RESAMPLES,
        batch=200,
        method="percentile",
        rng=numpy.random.default_rng(0),
    ).confidence_interval
    return float(found.low), float(found.high)


def discordant(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """How much the first has alone, and how much the second: problems, where scores are 0 or 1."""
    first = sum(max(0.0, one - other) for one, other in pairs)
    second = sum(max(0.0, other - one) for one, other in pairs)
    whole = all(float(score).is_integer() for pair in pairs for score in pair)
    return (int(first), int(second)) if whole else (first, second)


def detectable(n: int, share: float) -> float | None:
    """The smallest true difference that McNemar's test on n problems finds with `POWER`; None: there is none.

    share: of problems that one of the two alone gets right. After Connor (1987, Biometrics 43:207), solved
    for the difference.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    alpha, beta = norm.isf(LEVEL / 2), norm.isf(1 - POWER)

    def lacking(difference: float) -> float:
        spread = max(0.0, share - difference**2) ** 0.5
        return alpha * share**0.5 + beta * spread - difference * n**0.5

    if not 0 < share <= 1 or lacking(share) > 0:
        return None  # even if all of them were right by one side
    return float(brentq(lacking, 0.0, share))


def verdict(difference: float, p: float) -> Verdict:
    if p >= LEVEL or not difference:
        return "tie"
    return "better" if difference > 0 else "worse"


def pass_at(right: int, attempts: int, k: int) -> float:
    """The chance that one of k attempts is right, estimated from `attempts` of which `right` were.

    Unbiased (Chen et al., arXiv 2107.03374, eq. 1).
    """
    from math import comb

    return 1.0 - comb(attempts - right, k) / comb(attempts, k)


def _comparison(
    first: str,
    second: str,
    benchmark: str | None,
    pairs: Sequence[tuple[float, float]],
    p: float,
    adjusted: float,
) -> Comparison:
    n = len(pairs)
    b, c = discordant(pairs)
    low, high = interval(pairs)
    difference = (c - b) / n
    # As in the interval: that none was seen does not say that there is none.
    share = (b + c) / n or 1 / (n + 2)
    return Comparison(
        first=first,
        second=second,
        benchmark=benchmark,
        n=n,
        first_only=b,
        second_only=c,
        difference=difference,
        low=low,
        high=high,
        p=p,
        p_holm=adjusted,
        detectable=detectable(n, min(1.0, share)),
        verdict=verdict(difference, adjusted),
    )
