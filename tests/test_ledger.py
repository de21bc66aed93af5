from conftest import record

from growsearch.search.ledger import Ledger
from growsearch.search.messages import Report
from growsearch.trial.config import TrialConfig


def test_a_trial_out_of_memory_has_failed_for_good_and_the_log_says_why(tmp_path):
    """Its actor has not: nothing starts it again, in this run or in the next."""
    (tmp_path / "trials").mkdir()
    ledger = Ledger(tmp_path)
    name = ledger.add(TrialConfig()).name
    ledger.start(name)
    reason = "out of memory at growth to 8-8-8"
    last = record(2, status="failed")
    ledger.enter(name, Report(record=last, remembered=(record(1),), reason=reason))
    for known in (ledger, Ledger.read(tmp_path)):
        trial = known.trials[name]
        assert (trial.status, trial.reason, trial.status.ended) == ("failed", reason, True)
        assert trial.history[-1] == last


def test_so_has_one_whose_last_epoch_was_known_before_memory_ran_out(tmp_path):
    (tmp_path / "trials").mkdir()
    ledger = Ledger(tmp_path)
    name = ledger.add(TrialConfig()).name
    ledger.start(name)
    ledger.enter(name, Report(record=record(1)))
    reason = "out of memory at growth to 8-8-8"
    ledger.enter(name, Report(record=record(1, status="failed"), reason=reason))
    for known in (ledger, Ledger.read(tmp_path)):
        trial = known.trials[name]
        assert (trial.status, trial.reason, len(trial.history)) == ("failed", reason, 1)
        assert (trial.history[-1].status, known.paid["epochs"]) == ("failed", 1)
