"""Farthest-point selection on a line, an epsilon-net (Gonzalez 1985)."""

from bisect import bisect_left
from collections.abc import Sequence
from heapq import heappop, heappush
from math import inf


class EpsilonNet:
    """Chooses `places` of the n positions, 1 <= places <= n, in O(n log n).

    The highest position is chosen first; each further choice is the position farthest from all
    chosen before, the lower one on a tie. `positions` are sorted integers, so that ties are exact.
    """

    def __init__(self, positions: Sequence[int], places: int) -> None:
        self.positions = positions
        self.places = places
        self.between: dict[tuple[int, int], int] = {}
        """(left, right) -> the index chosen between these two while they were neighbours."""
        self.reach: float = inf
        """Distance of the last chosen position from the positions chosen before it."""
        last = len(positions) - 1
        if places > 1:
            self._divide(0, last)
        self.chosen = {last, *([0] if places > 1 else []), *self.between.values()}
        """Indices of the chosen positions."""

    def _divide(self, left: int, right: int) -> None:
        self.reach = self.positions[right] - self.positions[left]
        candidates = self._farthest(left, right)
        for _ in range(self.places - 2):
            distance, i, left, right = heappop(candidates)
            self.between[left, right], self.reach = i, -distance
            for candidate in (*self._farthest(left, i), *self._farthest(i, right)):
                heappush(candidates, candidate)

    def _farthest(self, left: int, right: int) -> list[tuple[int, int, int, int]]:
        """[(-distance, i, left, right)] for the farthest index i between left and right, or []."""
        if right - left < 2:
            return []
        middle = (self.positions[left] + self.positions[right]) // 2
        i = bisect_left(self.positions, middle, left + 1, right - 1)
        distance, i = min(
            (-self._distance(self.positions[i], left, right), i) for i in {max(i - 1, left + 1), i}
        )
        return [(distance, i, left, right)]

    def _distance(self, position: int, left: int, right: int) -> int:
        return min(position - self.positions[left], self.positions[right] - position)

    def takes(self, position: int) -> bool:
        """Whether `position` would be chosen if it were added; it loses every tie.

        Takes O(log n) steps for evenly spread positions, O(places) at most.
        """
        left, right = 0, len(self.positions) - 1
        if position > self.positions[right]:
            return True
        if position < self.positions[left]:
            return self.places > 1
        while (left, right) in self.between:
            i = self.between[left, right]
            distance = self._distance(position, left, right)
            if distance > self._distance(self.positions[i], left, right):
                return True
            left, right = (left, i) if position < self.positions[i] else (i, right)
        return self._distance(position, left, right) > self.reach
