import pytest
from hypothesis import given
from hypothesis import strategies as st

from growsearch.trial.architecture import Architecture
from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError

depths = st.lists(st.integers(1, 99), min_size=1, max_size=5)
depths_or_none = st.lists(st.integers(0, 99), min_size=1, max_size=5)


@given(depths_or_none)
def test_text_and_blocks_are_two_spellings_of_one_value(blocks):
    text = "-".join(map(str, blocks))
    assert Architecture(text) == Architecture(blocks)
    assert str(Architecture(blocks)) == text
    assert hash(Architecture(text)) == hash(Architecture(blocks))


@pytest.mark.parametrize("text", ["", "3-x-3", "3--3", "-1-2", "2.0-2", "²-2-2", "3-3-"])
def test_anything_else_is_refused_with_the_text_and_an_example(text):
    with pytest.raises(InputError, match="write it like 2-2-2") as caught:
        Architecture(text)
    assert repr(text) in str(caught.value)


@given(depths, st.integers(0, 4))
def test_doublings_are_counted_back(blocks, times):
    seed = Architecture(blocks)
    assert seed.doubled(times).blocks == tuple(n * 2**times for n in blocks)
    assert seed.doublings_to(seed.doubled(times)) == times


@pytest.mark.parametrize("target", ["3-3-3", "2-2-4", "1-1-1", "6-6-6", "2-2"])
def test_a_target_that_doubling_misses_is_an_error_with_the_ones_it_reaches(target):
    with pytest.raises(InputError, match="4-4-4, 8-8-8, 16-16-16"):
        Architecture("2-2-2").doublings_to(Architecture(target))


@given(depths_or_none)
def test_deepening_doubles_and_gives_a_first_block_where_there_is_none(blocks):
    deeper = Architecture(blocks).deepened()
    assert deeper.blocks == tuple(2 * n if n else 1 for n in blocks)
    assert Architecture(blocks).fits_in(deeper)


@pytest.mark.parametrize("text", ["0", "2-0-2"])
def test_doubling_no_blocks_is_one_line_with_what_to_do(text):
    one = Architecture(text)
    for double in (one.doubled, lambda: one.doublings_to(Architecture("8-8-8"))):
        with pytest.raises(InputError, match="twice no blocks are none; start from") as caught:
            double()
        assert text in str(caught.value)
        assert "growth_architectures" in str(caught.value)


def test_a_family_needs_a_block_in_each_sub_network():
    for name, options in {
        "architecture": {"architecture": "2-0-2"},
        "max_architecture": {"max_architecture": "0-8-8"},
        "growth_architectures": {
            "policy": "fixed", "growth_epochs": 9, "growth_architectures": "3-0-3",
        },
    }.items():  # fmt: skip
        with pytest.raises(InputError, match="basic3resnet needs at least 1 in each") as caught:
            TrialConfig(**options)
        assert str(caught.value).startswith(f"{name} ")
