"""What benchmarks/fuzz.py begins from: an honest file that is taken apart and made again."""

import pytest
from conftest import ROOT

from growsearch.searches.ledger import Ledger
from growsearch.study.results import read_histories


@pytest.fixture
def readers(monkeypatch):
    """The readers, without atheris."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import fuzz_readers

    return fuzz_readers.READERS


@pytest.mark.slow
def test_an_honest_file_that_is_taken_apart_and_made_again_is_read_as_before(
    readers, tmp_path, caplog
):
    """Else a target's inputs are all refused, and it tests nothing."""
    import honest

    honest.made(tmp_path)
    for name, reader in readers.items():
        place = tmp_path / reader.place
        original, found = place.read_bytes(), str(reader.read(tmp_path))
        place.write_bytes(reader.whole(reader.inner(original), original))
        assert str(reader.read(tmp_path)) == found, name
        assert set(read_histories(tmp_path / "study")) == {"00000", "00001"}, name
        assert len(Ledger.read(tmp_path / "study").trials) == 3, name
        assert caplog.text == "", name
        place.write_bytes(original)
    store = readers["record"], readers["store-state"]
    assert None not in [reader.read(tmp_path) for reader in store]
