from conftest import farthest_first
from hypothesis import given
from hypothesis import strategies as st

from growsearch.stopping.epsilon_net import EpsilonNet


def order_of(positions):
    highest = positions.index(max(positions))
    return farthest_first(len(positions), highest, lambda i, j: abs(positions[i] - positions[j]))


sorted_positions = st.lists(st.integers(0, 40), min_size=1, max_size=12).map(sorted)


@given(sorted_positions, st.integers(1, 12))
def test_each_is_the_farthest_from_all_before_it(positions, places):
    places = min(places, len(positions))
    net = EpsilonNet(positions, places)
    expected = [positions[i] for i in order_of(positions)[:places]]
    assert sorted(positions[i] for i in net.chosen) == sorted(expected)


@given(sorted_positions, st.integers(1, 12), st.integers(-3, 43))
def test_one_more_is_taken_if_it_would_be_among_the_first(positions, places, position):
    places = min(places, len(positions))
    expected = len(positions) in order_of([*positions, position])[:places]
    assert EpsilonNet(positions, places).takes(position) == expected
