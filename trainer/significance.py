"""Whether the runs of two recipes differ by more than their seeds explain: one exact test."""

import math
from collections import Counter
from dataclasses import dataclass

SIGNIFICANCE = 0.05
"""A difference is called more than chance where an exact test's p lies below this, the level of
Fisher, "Statistical Methods for Research Workers", 1925."""


@dataclass(frozen=True)
class SeedTest:
    """Two recipes, each trained under several seeds and measured on the same test images.

    It answers for other seeds, not for other images: those are the same in every run.
    """

    first: tuple[int, ...]
    """Test images that each run of the first recipe gets right. Counts, so that ties are exact."""
    second: tuple[int, ...]
    images: int
    """Test images there are."""

    @property
    def gap(self) -> float:
        """Mean accuracy of the first recipe minus the second's, -1..1."""
        means = (sum(runs) / len(runs) for runs in (self.first, self.second))
        return (next(means) - next(means)) / self.images

    @property
    def p_value(self) -> float:
        """Two-sided p of the exact permutation test on the difference of the means: that it makes
        no difference which of the runs are called the first recipe's.

        Of all ways to deal the runs into groups of these sizes, the share whose means lie at least
        as far apart as they do.
        Source: Pitman, "Significance Tests Which May be Applied to Samples from any Populations",
        Supplement to the Journal of the Royal Statistical Society 4, 1937.
        """
        runs, size = (*self.first, *self.second), len(self.first)
        total = sum(runs)
        ways = Counter({(0, 0): 1})
        """(runs taken, their images) to the number of ways to take such."""
        for images in runs:
            for (taken, right), count in list(ways.items()):
                if taken < size:
                    ways[taken + 1, right + images] += count

        def distance(right: int) -> int:
            """Of the means, in whole numbers, where the first group has so many images right."""
            return abs(len(runs) * right - size * total)

        observed = distance(sum(self.first))
        extreme = sum(
            count
            for (taken, right), count in ways.items()
            if taken == size and distance(right) >= observed
        )
        return extreme / math.comb(len(runs), size)

    @property
    def too_few(self) -> bool:
        """True where no outcome whatever could be called more than chance, as with three against
        three: the best of their 20 deals, and its mirror image, are a tenth of all."""
        one, two = len(self.first), len(self.second)
        fewest = 2 if one == two else 1
        return fewest / math.comb(one + two, one) >= SIGNIFICANCE

    @property
    def separated(self) -> bool:
        """True where every run of one recipe is above every run of the other."""
        return min(self.first) > max(self.second) or min(self.second) > max(self.first)

    @property
    def verdict(self) -> int:
        """1 where the first recipe is better, -1 where the second is, 0 where it may be chance."""
        if self.p_value >= SIGNIFICANCE:
            return 0
        return 1 if self.gap > 0 else -1


def noise_of_count(right: int, images: int) -> float:
    """Two standard errors of a count of right answers among so many, in images: the binomial's,
    n p (1 - p), with p as it was found."""
    return 2 * math.sqrt(right * (1 - right / images))
