"""Parameters of the model: each constant names its quantity and its unit. docs/detector.md explains the method.

Components are, in this order: level, time of day, weekday, interaction of weekday and time of day. Variances are in
units of the noise variance. A scale is the usual size of an error of the series at that time. A slot is a time of day:
an hour of an hourly series.
"""

from functools import cache

from anomalake.detect.cycle import Cycle

# --- history

HISTORY_DAYS = 57  # days of live data from which a new detector learns
HISTORY_DAYS_YEARLY = 5 * 366  # the same for weeks and months
# (slots a day, days): days with a value in a slot before the slot is scored; the first entry with at most the slots.
MIN_HISTORY_DAYS = ((288, 1), (144, 2), (24, 4), (2, 7), (1, 14))
MIN_HISTORY_VALUES_YEARLY = 12  # the same for weeks and months, in values
SETTLED_DAYS = 9  # days with a value in a slot; before that, the expected value has an additional uncertainty of ...
EARLY_UNCERTAINTY_SHARE = 0.25  # ... this share of the expected value
UNCERTAIN_VARIANCE = 1.5  # variance of the expected value from which it has the same uncertainty, as on a new weekday
EARLY_SCALE_DAYS = 2.0  # the scale is multiplied by 1 + EARLY_SCALE_DAYS / days of history

# --- expected value: Kalman filter and Huber clipping

INITIAL_VARIANCE = (10.0, 10.0, 3.0, 1.0)  # by component
FORGETTING_PER_DAY = (1e-4, 2e-3, 2e-3, 2e-3)  # by component: variance added a day; for the level, an interval
HUBER_LIMIT_SCALES = (
    1.0,
    1.0,
    1.0,
    3.0,
)  # by component: a larger error corrects the component as an error of this size
# The same for weeks and months, whose season is the month of the year. Their level follows trends, and the first value
# of a month of the year counts in full.
YEARLY_INITIAL_VARIANCE = (10.0, 0.0, 10.0, 0.0)
YEARLY_FORGETTING = (0.1, 0.0, 0.02, 0.0)  # variance added each time that the component occurs
YEARLY_HUBER_LIMIT_SCALES = (1.0, 1.0, 3.0, 1.0)
OUTLIER_SCALES = 3.75  # an error beyond this is an outlier
LEVEL_SHIFT_DAYS = 2  # days of consecutive outliers after which the model accepts a new level
SLOT_REPEATS = 3  # consecutive outliers in one slot, on one side, after which the model accepts them as usual
MIN_VALUES_TO_CLIP = 7  # values, and a day of values, before errors are clipped

# --- a change of kind: the first negative values, or the first fractions of a rare count

RELEARN_AFTER_DAYS = 2  # days with values of another kind before the series is learned again
RELEARN_AFTER_VALUES_DAILY = 3  # the same for a daily series, in values
KIND_CHANGE_MEMORY_DAYS = 28  # such days count together if no more than this many days lie between them

# --- spread of errors

SPREAD_CLIP_SCALES = 2.5  # a larger error counts as an error of this size in the spread
SPREAD_MEMORY_DAYS = 21  # memory of the spread over all slots
SPREAD_MEMORY_DAYS_DAILY = 365  # the same for a daily series
SLOT_MEMORY_DAYS = 28  # memory of the spread and the mean of a slot and its neighbors
MEAN_ABS_TO_SIGMA = 1.2533  # sqrt(pi / 2): standard deviation of normal errors / their mean absolute value
MIN_UNIT_SHARE = 0.1  # share of the usual size, on the square root scale; errors are measured against no less
MIN_MEAN_SHARE = 0.0005  # smallest spread, as a share of the expected value

# --- counts and intermittent series

POISSON_ROOT_VARIANCE = 0.25  # variance of the square root of a Poisson count (Anscombe 1948)
ANSCOMBE_SHIFT = 0.375  # 3/8, added to a count before the square root (Anscombe 1948)
RARE_COUNT_MEAN = 5.0  # counts with a smaller mean an interval follow their mean
RARE_CLIP_SCALES = 4.0  # a larger error of a rare count has this size in its dispersion
NONZERO_MEAN_MEMORY = 0.98  # weight of the old mean of nonzero values, for each new value
INTERMITTENT_ZERO_SHARE = 0.25  # share of zeros above which a series is intermittent
INTERMITTENT_MIN_SPREAD = 0.5  # smallest spread of an intermittent series, in square roots of its mean
TAIL_SHARE = 0.02  # target share of an intermittent series' errors beyond ...
TAIL_QUANTILE = 2.326  # ... this many scales; the tail factor widens the scale until the share fits
TAIL_RATE = 0.05  # step size at which the tail factor follows, for each value
MAX_TAIL_FACTOR = 10.0

# --- ratios

DENOMINATOR_RATE = 0.01  # weight of the newest denominator in the usual one

# --- bounds

MAX_BOUND = 1e300


@cache
def min_history_values(cycle: Cycle) -> int:
    """Return the values in a slot before the slot is scored."""
    if cycle.is_yearly:
        return MIN_HISTORY_VALUES_YEARLY
    days = next(days for slots, days in MIN_HISTORY_DAYS if cycle.slots >= slots)
    return days * cycle.intervals_per_slot


def initial_variance(cycle: Cycle) -> tuple[float, float, float, float]:
    """Return the initial variance by component."""
    return YEARLY_INITIAL_VARIANCE if cycle.is_yearly else INITIAL_VARIANCE
