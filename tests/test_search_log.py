import json

from conftest import record

from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import Report
from growsearch.study.folder import LOG_FILE, create_study
from growsearch.study.results import read_study
from growsearch.study.search_log import ending_order, given_in_log
from growsearch.study.summary import summarize
from growsearch.trial.config import TrialConfig


def test_a_ledgers_log_says_in_which_order_trials_ended_and_what_they_were_given(tmp_path):
    folder = create_study(tmp_path / "study", searched=["growth_epochs"])
    ledger = Ledger(folder)
    configs = [TrialConfig(policy="fixed", growth_epochs=(1, n), epochs=4) for n in (2, 3)]
    ledger.add_all(configs)
    for name, status in (("00000", "running"), ("00001", "completed"), ("00000", "completed")):
        ledger.start(name)
        n = len(ledger.trials[name].history) + 1
        ledger.enter(name, Report(record=record(n, status=status, key=f"{name}{n}")))
    log = folder / LOG_FILE
    assert ending_order(log) == ["00001", "00000"]
    assert given_in_log(log)["00001"]["growth_epochs"] == "1 3"
    assert len(summarize(read_study(folder))) == 2


def test_a_damaged_line_is_left_out_and_no_log_is_an_empty_one(tmp_path):
    log = tmp_path / LOG_FILE
    line = json.dumps({"trial": "b", "config": {}, "given": {"lr": 1}})
    log.write_bytes(f'{{"trial": "a", "given": {{\n{line}\nx\n'.encode() + b'{"trial": "\xff"')
    assert given_in_log(log) == {"b": {"lr": 1}}
    assert ending_order(log)[:2] == ["a", "b"]
    assert ending_order(tmp_path / "none") == []
    (tmp_path / "link").symlink_to(log)
    assert ending_order(tmp_path / "link") == []
