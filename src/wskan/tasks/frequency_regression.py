"""Which wave is it? The frequencies of what a KAN represents."""

from __future__ import annotations

from wskan.tasks.regression import Regression


class FrequencyRegression(Regression):
    """Tell the frequencies of the sine wave that a KAN represents (paper, C.1.3): squared error, in (radians a unit of length)^2."""

    name, columns, out_dim = "frequency-regression", ("freq_0", "freq_1"), 2
    center, spread = 5.25, 9.5 / 12**0.5  # of a uniform number in [0.5, 10]
