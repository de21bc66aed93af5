import math
import random
import re
from dataclasses import replace

import pytest
from conftest import run_policy

from growsearch.study.lipschitz_ratio import lipschitz_ratios
from growsearch.trial.config import TrialConfig
from growsearch.trial.history import History
from growsearch.trial.path import decide


@pytest.mark.parametrize("baseline", ["window", "first-epoch"])
@pytest.mark.parametrize("window", [1, 3])
def test_the_ratio_of_an_epoch_is_the_one_for_which_the_policy_grew(window, baseline):
    config = TrialConfig(
        rtol=1.05, window=window, baseline=baseline, epochs=30, reserve=4, architecture="2-2-2"
    )
    draw = random.Random(0)
    history = run_policy(config, [1 + 0.04 * e + draw.uniform(0, 0.02) for e in range(30)])
    ratios = lipschitz_ratios(
        [r.lipschitz for r in history], [r.architecture for r in history], window,
        window if baseline == "window" else 1,
    )  # fmt: skip
    said = 0
    for n, record in enumerate(history, 1):
        if record.grew:
            before = History((*history[: n - 1], replace(record, grew=False)))
            reason = decide(config, before).reason
            if found := re.search(r"Lipschitz ratio ([\d.]+) >", reason):
                assert ratios[n - 1] == pytest.approx(float(found[1]), abs=5e-4)
                said += 1
    assert said == 2
    assert all(math.isnan(r) for r in ratios[:window])


def test_a_constant_of_zero_or_no_epoch_has_no_ratio():
    assert lipschitz_ratios([], [], 1, 1) == []
    assert all(math.isnan(r) for r in lipschitz_ratios([0.0, 1.0], ["1", "1"], 1, 1))
