"""When k-means on large sets stops [ours]."""

from dataclasses import dataclass

POINTS_PER_CENTROID = 64  # of the sample; with 32, centres are caught by outliers where groups are unequal


@dataclass(frozen=True)
class Stop:
    """Stop once an iteration improves the objective by less than a share of it.

    Attributes:
        tolerance: The share.
        most_iterations: Whatever they improve; at least 1.
        usual_iterations: That the families of ``tools/benchmarks/refresh.py`` take, for the preflight's forecast.
    """

    tolerance: float
    most_iterations: int
    usual_iterations: int


# Found on the three families of tools/benchmarks/refresh.py, which shows the objective that is reached: within 1 % of
# that of `cluster`. Further iterations on the sample fit the sample alone. Those on all features go on until what is
# left to gain is a fraction of 1 %: each gains about two thirds of what the one before gained.
ON_SAMPLE = Stop(tolerance=0.005, most_iterations=20, usual_iterations=5)
ON_ALL = Stop(tolerance=0.002, most_iterations=20, usual_iterations=3)
