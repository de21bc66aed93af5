"""Spaces and command lines that nobody would write are taken, or refused in one line."""

from conftest import run
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from growsearch.trial.config import TrialConfig
from growsearch.trial.errors import InputError
from growsearch.trial.trial_options import every_option
from growsearch.tuning.search_space import draw_trials, load_spaces

names = st.sampled_from(sorted(every_option())) | st.text(max_size=6)
odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8),
    st.binary(max_size=2),
    st.sampled_from(
        [10**400, 2**63, -0.0, 1e308, "1-1-1", "0-0-0", "2-2-2 3-3-3", "9" * 5000, "nan", "none"]
    ),
)  # fmt: skip
values = st.recursive(
    odd,
    lambda kept: (
        st.lists(kept, max_size=3) | st.dictionaries(st.text(max_size=4), kept, max_size=2)
    ),
    max_leaves=5,
)
many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(error: InputError) -> None:
    assert "\n" not in str(error)
    assert str(error)


@given(st.dictionaries(names, values, max_size=3))
@many
def test_a_configuration_of_any_values_is_made_or_refused_in_one_line(options):
    try:
        config = TrialConfig(given=options)
    except InputError as error:
        check(error)
    else:
        assert TrialConfig.from_flat(config.to_flat()) == config


def source(value: object) -> str:
    return f"float('{value!r}')" if isinstance(value, float) else repr(value)


literals = odd.map(source)
domains = st.one_of(
    literals,
    st.builds("tune.grid_search([{}])".format, st.lists(literals, max_size=3).map(", ".join)),
    st.builds("tune.choice([{}])".format, st.lists(literals, max_size=3).map(", ".join)),
    st.builds(
        "tune.{}({}, {})".format,
        st.sampled_from(["uniform", "loguniform", "randint", "lograndint"]), literals, literals,
    ),
    st.builds(
        "tune.q{}({}, {}, {})".format, st.sampled_from(["uniform", "randint"]), *[literals] * 3
    ),
    st.builds("tune.sample_from(lambda spec: {})".format, literals),
    st.builds("{{'grid_search': {}}}".format, literals),
)  # fmt: skip
spaces = st.dictionaries(names, domains, max_size=3).map(
    lambda space: "{" + ", ".join(f"{name!r}: {domain}" for name, domain in space.items()) + "}"
)


@given(spaces | st.lists(spaces, max_size=2).map(lambda all_: f"[{', '.join(all_)}]"))
@many
def test_a_space_of_any_domains_draws_trials_or_is_refused_in_one_line(tmp_path, space):
    path = tmp_path / "space.py"
    path.write_text(f"from ray import tune\nparam_space = {space}\n", errors="replace")
    try:
        trials = draw_trials(load_spaces(path), 3, seed=0)
    except InputError as error:
        check(error)
    else:
        assert trials


options = sorted(f"--{name.replace('_', '-')}" for name in every_option())
words = st.one_of(
    st.sampled_from(options), st.text(max_size=8), st.integers().map(str), st.floats().map(str),
    st.sampled_from(["--trials", "--json", "--help", "--search-seed", "3", "0.1", "1-1-1", "none"]),
)  # fmt: skip


@given(st.lists(words, max_size=5))
@example(["\n"])
@settings(many, max_examples=20)
def test_a_command_line_of_any_words_is_carried_out_or_refused_in_one_line(capsys, line):
    code, out, err = run(capsys, "plan", "hand_tuned_vs_lipgrow", "--trials", "2", *line)
    assert code in (0, 2), err
    if code == 2:
        assert (out, err.rstrip("\n").count("\n")) == ("", 0), err
    else:
        assert out
