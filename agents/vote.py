"""Count votes: who agrees with whom, and whether more votes could change the outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def grouped(candidates: Iterable[T], agree: Callable[[T, T], bool]) -> list[list[T]]:
    """Those that agree together, in the order in which the first of each was sampled."""
    groups: list[list[T]] = []
    for candidate in candidates:
        for group in groups:
            if agree(group[0], candidate):
                group.append(candidate)
                break
        else:
            groups.append([candidate])
    return groups


def largest(groups: list[list[T]]) -> list[T]:
    """The majority; of several the first: that of the candidate sampled first."""
    return max(groups, key=len, default=[])


def fewest_to_decide(votes: list[int], left: int) -> int:
    """The fewest more candidates after which the vote may be decided; 0 if it is.

    votes: of each group, in the order in which they were first sampled.
    """

    def decided(votes: list[int], left: int) -> bool:
        if not votes:
            return not left
        leader = max(votes)
        at = votes.index(leader)
        # An earlier group wins a tie, a later one has to do better; so has one that is not there yet.
        return left <= leader and all(
            count + left < leader + (place > at) for place, count in enumerate(votes) if place != at
        )

    for more in range(left + 1):
        # At best, all of them agree with the leader.
        leader = max(votes, default=0)
        at = votes.index(leader) if votes else 0
        best = [*votes[:at], leader + more, *votes[at + 1 :]]
        if decided(best, left - more):
            return more
    return left
