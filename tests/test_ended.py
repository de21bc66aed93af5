"""The table of all ended trials: it is quick to read, and never says anything else than theirs."""

import logging
import os
import shutil

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ROOT, record

from growsearch import InputError, read_study
from growsearch.study import gathering
from growsearch.study.folder import create_study
from growsearch.study.gathering import ENDED_FILE, gather_ended
from growsearch.study.recording import record_study
from growsearch.study.results import read_table, write_trial
from growsearch.trial.config import TrialConfig


def trial(folder, name, losses, end="completed", **more):
    records = [
        record(
            epoch, val_loss=loss, key=f"{name} {epoch}",
            status=end if epoch == len(losses) else "running", **more,
        )
        for epoch, loss in enumerate(losses, start=1)
    ]  # fmt: skip
    return write_trial(folder, name, TrialConfig(policy="none", epochs=4), records)


@pytest.fixture
def study(tmp_path):
    """Three trials that have ended, and one that runs."""
    folder = create_study(tmp_path / "study", command="search", searched=[])
    trial(folder, "00000", [2.0, 1.0, 0.5, 0.4])
    trial(folder, "00001", [2.0, 1.5], end="stopped", lipschitz_blocks=(1.0, 2.0))
    trial(folder, "00002", [3.0, 2.5, 2.0, 1.9], metrics={"val_perplexity": 7.0})
    trial(folder, "00003", [9.0], end="running")
    return folder


def from_tables(folder, tmp_path):
    """What a copy without the table of ended trials says."""
    copy = shutil.copytree(folder, tmp_path / "copy", dirs_exist_ok=True)
    (copy / ENDED_FILE).unlink(missing_ok=True)
    return read_study(copy)


def swap(file, content):
    """Changes a file's content, but neither its size nor its times."""
    before = file.stat()
    file.write_bytes(content.ljust(before.st_size, b"."))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def gathered(folder):
    return set(pq.read_table(folder / ENDED_FILE)["table"].to_pylist())


def test_a_study_reads_the_same_with_it_and_reads_no_table_that_it_repeats(study):
    before = read_table(study)
    gather_ended(study)
    assert gathered(study) == {"00000.parquet", "00001.parquet", "00002.parquet"}
    for name in gathered(study):
        swap(study / "trials" / name, b"not read")
    after = read_table(study)
    assert after.equals(before)
    assert after.schema.equals(before.schema, check_metadata=True)
    pd.testing.assert_frame_equal(read_study(study), before.to_pandas())


def test_of_a_study_none_of_whose_trials_has_ended_nothing_is_written(tmp_path, caplog):
    folder = create_study(tmp_path / "study", command="search", searched=[])
    for name in ("00000", "00001"):
        trial(folder, name, [2.0, 1.0], end="running")
    gather_ended(folder)
    assert len(read_study(folder)) == 4
    assert not (folder / ENDED_FILE).exists()
    assert not caplog.records


def test_tables_that_change_come_or_go_afterwards_are_seen(study, tmp_path):
    gather_ended(study)
    trial(study, "00001", [2.0, 1.5, 1.4, 1.3])
    trial(study, "00003", [9.0, 8.0], end="failed")
    trial(study, "00004", [4.0])
    (study / "trials/00002.parquet").unlink()
    found = read_study(study)
    assert found.groupby("trial_id").size().to_dict() == {
        "00000": 4, "00001": 4, "00003": 2, "00004": 1,
    }  # fmt: skip
    pd.testing.assert_frame_equal(
        found[list(from_tables(study, tmp_path))], from_tables(study, tmp_path)
    )
    gather_ended(study)
    pd.testing.assert_frame_equal(read_study(study), from_tables(study, tmp_path))
    assert gathered(study) == {f"0000{n}.parquet" for n in (0, 1, 3, 4)}


def test_a_copy_with_other_times_is_read_from_its_tables(study, tmp_path):
    gather_ended(study)
    copy = shutil.copytree(study, tmp_path / "other", copy_function=shutil.copyfile)
    trial(copy, "00000", [5.0, 4.0, 3.0, 2.9])
    assert read_study(copy)["val_loss"].tolist()[:4] == [5.0, 4.0, 3.0, 2.9]
    pd.testing.assert_frame_equal(read_study(copy), from_tables(copy, tmp_path))


def flipped(content):
    """The content with one bit of the losses changed."""
    group = pq.read_metadata(pa.BufferReader(content)).row_group(0)
    chunks = [group.column(n) for n in range(group.num_columns)]
    (losses,) = [chunk for chunk in chunks if chunk.path_in_schema == "val_loss"]
    at = losses.dictionary_page_offset + losses.total_compressed_size - 1
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def elsewhere(content):
    sink = pa.BufferOutputStream()
    pq.write_table(pq.read_table(pa.BufferReader(content)).replace_schema_metadata({}), sink)
    return sink.getvalue().to_pybytes()


def that_says(tables):
    """Damage of what the table says it repeats."""

    def damage(content):
        table, sink = pq.read_table(pa.BufferReader(content)), pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata({"tables": tables}), sink)
        return sink.getvalue().to_pybytes()

    return damage


@pytest.mark.parametrize(
    "damage",
    [flipped, elsewhere, lambda content: content[:-9], lambda _: b"", lambda _: b"PAR1",
     that_says("[" * 200_000), that_says('{"00000.parquet": [Infinity, 1]}')],
)  # fmt: skip
def test_a_damaged_one_is_named_and_the_tables_are_read(study, caplog, damage):
    before = read_table(study)
    gather_ended(study)
    file = study / ENDED_FILE
    file.write_bytes(damage(file.read_bytes()))
    with caplog.at_level(logging.WARNING, logger="growsearch"):
        assert read_table(study).equals(before)
    assert f"{file} is damaged" in caplog.text
    gather_ended(study)
    caplog.clear()
    assert read_table(study).equals(before)
    assert not caplog.records


def test_a_link_in_its_place_is_not_followed(study, tmp_path, caplog):
    before = read_table(study)
    gather_ended(study)
    (study / ENDED_FILE).rename(tmp_path / "outside.parquet")
    (study / ENDED_FILE).symlink_to(tmp_path / "outside.parquet")
    assert read_table(study).equals(before)
    assert "is damaged" in caplog.text


def test_a_kill_while_it_is_written_leaves_the_study_as_it_was(study):
    before = read_table(study)
    (study / f"{ENDED_FILE}.unfinished").write_bytes(b"PAR1 half of a table")
    assert read_table(study).equals(before)
    gather_ended(study)
    assert read_table(study).equals(before)
    assert not (study / f"{ENDED_FILE}.unfinished").exists()


def test_what_is_damaged_among_the_tables_is_left_out_and_not_repeated(study, caplog):
    (study / "trials/00001.parquet").write_bytes(b"no table")
    gather_ended(study)
    assert gathered(study) == {"00000.parquet", "00002.parquet"}
    assert set(read_study(study)["trial_id"]) == {"00000", "00002", "00003"}
    assert "00001.parquet is damaged" in caplog.text


def test_where_it_cannot_be_written_a_warning_says_so(study, caplog):
    (study / f"{ENDED_FILE}.unfinished").mkdir()
    before = read_table(study)
    gather_ended(study)
    assert "cannot be written" in caplog.text
    assert read_table(study).equals(before)


def test_columns_are_read_as_needed(study):
    whole = read_study(study)
    wanted = ["trial_id", "epoch", "val_loss", "metric/val_perplexity"]
    for _ in range(2):
        found = read_study(study, columns=["val_loss", "metric/val_perplexity"])
        pd.testing.assert_frame_equal(found, whole[wanted])
        gather_ended(study)
    with pytest.raises(InputError, match="no column 'val_los'"):
        read_study(study, columns=["val_los"])


def test_a_recorded_study_is_as_before(tmp_path):
    """One file has all of its trials, and there is nothing to gather."""
    copy = shutil.copytree(ROOT / "analysis/studies/gpt_growth", tmp_path / "copy")
    gather_ended(copy)
    assert not (copy / ENDED_FILE).exists()


def test_a_damaged_study_is_not_recorded_and_a_full_disk_leaves_the_record_of_before(
    tmp_path, monkeypatch
):
    study = create_study(tmp_path / "study", command="search", searched=[])
    for name in ("00000", "00001"):
        file = trial(study, name, [1.0])
    recorded = record_study(study, tmp_path / "recorded")
    before = recorded.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full_disk)
        with pytest.raises(OSError, match="No space left"):
            record_study(study, tmp_path / "recorded")
    file.write_bytes(file.read_bytes()[:-50])
    with pytest.raises(InputError, match=r"00001.parquet is damaged .* restore it first"):
        record_study(study, tmp_path / "recorded")
    assert recorded.read_bytes() == before
    assert list(recorded.parent.iterdir()) == [recorded]


def full_disk(*given, **options):
    raise OSError(28, "No space left on device")


def test_a_large_table_of_keys_that_all_differ_is_read(tmp_path):
    """A table with so many texts might hold one long text in each row; this one does not."""
    folder = create_study(tmp_path / "study", command="search", searched=[])
    file = trial(folder, "00000", [1.0])
    row = pq.read_table(file)
    rows = pa.concat_tables([row] * 12_000).combine_chunks()
    for name, values in (
        ("key", [f"{n:064}" for n in range(12_000)]),
        ("epoch", list(range(1, 12_001))),
        ("seconds", [n / 7 for n in range(12_000)]),
    ):
        rows = rows.set_column(rows.column_names.index(name), row.schema.field(name), [values])
    pq.write_table(rows, file)
    assert len(read_study(folder)) == 12_000


def test_a_study_whose_tables_are_not_all_in_memory_at_a_time_reads_the_same(study, monkeypatch):
    before = read_table(study)
    gather_ended(study)
    whole = read_table(study)
    (study / ENDED_FILE).unlink()
    monkeypatch.setattr(gathering, "AT_ONCE", 2)
    gather_ended(study)
    assert pq.ParquetFile(study / ENDED_FILE).num_row_groups == 2
    assert gathered(study) == {"00000.parquet", "00001.parquet", "00002.parquet"}
    assert read_table(study).equals(before) and whole.equals(before)


def test_a_table_that_is_found_damaged_while_the_others_are_written_is_not_repeated(
    study, monkeypatch
):
    """One of its epochs has no cost, and the file has no checksum, as those of older versions."""
    monkeypatch.setattr(gathering, "AT_ONCE", 1)
    file = study / "trials/00002.parquet"
    rows = pq.read_table(file)
    costs = pa.array([1.0, None, 3.0, 4.0])
    pq.write_table(rows.set_column(rows.column_names.index("ppe"), "ppe", costs), file)
    expected = read_study(study)
    assert set(expected["trial_id"]) == {"00000", "00001", "00003"}
    gather_ended(study)
    assert gathered(study) == {"00000.parquet", "00001.parquet"}
    pd.testing.assert_frame_equal(read_study(study), expected)
