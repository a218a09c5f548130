"""The status of a measure as text: how many of its series are scored, and why others are not."""

from collections.abc import Sequence

import numpy as np

from anomalake.detect.model_state import State
from anomalake.detect.parameters import min_history_values
from anomalake.detect.transform import Floats


def describe_status(shards: Sequence[State], place: int, width: int) -> str:
    """Describe the series of one of `width` measures, the one at `place`."""

    def column(name: str) -> Floats:
        parts = [np.asarray(getattr(state, name)[..., place::width], float) for state in shards]
        return np.concatenate(parts, axis=-1)

    days, zero_share, squares = column("values_seen").max(axis=0), column("zero_share"), column("error_sums")[0]
    needed = min_history_values(shards[0].cycle) / shards[0].cycle.intervals_per_slot
    has_data, scored = days > 0, days >= needed
    relearned = int(((column("relearned_day") > 0) & ~scored).sum())
    note = ""
    if relearned:
        note = f"; {relearned:,} being learned again, because their values changed kind (became negative, or fractions)"
    if not has_data.any():
        return "all values are missing; nothing is scored"
    if not scored.any():
        longest = f"the longest series has {int(days.max())} of the {needed} days that are needed at a time of day"
        return f"learning: {longest}; nothing is scored yet{note}"
    if (zero_share[has_data] >= 1).all():
        return "all values are zero; anything else will be an anomaly"
    constant = int((has_data & (squares <= 0)).sum())
    text = f"scored, {int(scored.sum()):,} of {has_data.size:,} series"
    if constant == has_data.sum():
        return f"{text}; no series varies more than a random count would{note}"
    if constant:
        text += f" ({constant:,} vary no more than a random count would)"
    learning = int((has_data & ~scored).sum()) - relearned
    if learning > 0:
        text += f"; {learning:,} learning"
    return text + note
