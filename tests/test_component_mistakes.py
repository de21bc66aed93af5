"""What a component of one's own can get wrong: it is told, and never trains something else."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from conftest import ROOT, record

from growsearch import (
    Architecture,
    Cost,
    DataSpec,
    Fall,
    Grow,
    ImageFamily,
    Images,
    ImageSource,
    Initializer,
    InputError,
    Optimizer,
    Policy,
    Sampler,
    Schedule,
    Task,
    Trainer,
    TrialConfig,
    load_plugins,
    option,
    register,
)
from growsearch.checks.target import targets_in
from growsearch.stopping.cost import cost_of, epoch_costs
from growsearch.stopping.cost_bounds import CostBound, sizes_of
from growsearch.trial.components import component, forgetting
from growsearch.tuning.made_sampler import made_sampler
from growsearch.tuning.shared_data import check_own_data, own_data


@pytest.fixture(autouse=True)
def _rings(own_registry):
    load_plugins([str(ROOT / "examples/mlp.py")])


def own(base: type, **attributes: Any) -> str:
    """The name of a component of one's own with these attributes, of the kind of `base`."""
    cls = type("Own", (base,), {"__doc__": "Of a test.", "__module__": __name__, **attributes})
    register(base.kind, "own")(dataclass(frozen=True, kw_only=True)(cls))
    return "own"


def rings(**options: Any) -> TrialConfig:
    given = {"policy": "none", "epochs": 2, "lr": 0.05, "device": "cpu", "compile": "off"}
    return TrialConfig(task="rings", **{**given, **options})


def nothing(*_: Any) -> Any:
    """What `next` does where nothing is found."""
    return next(iter(()))


@pytest.mark.parametrize(
    ("base", "method"), [(Policy, "decide"), (Schedule, "rate"), (Schedule, "fall")]
)
def test_a_stop_iteration_of_a_component_is_an_error_and_not_the_trials_end(base, method):
    usual = {"decide": lambda *_: None, "rate": lambda self, trial, history, lr: lr}
    attributes = {method: nothing} if base is Policy else {"rate": usual["rate"], method: nothing}
    options = {"policy": "none", "epochs": 2, base.kind: own(base, **attributes)}
    # the examples' task does not say its steps, which a schedule that falls needs
    config = TrialConfig(train_size=100, **options) if method == "fall" else rings(**options)
    trainer = Trainer(config)
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(trainer)
    assert not trainer.finished


def test_a_stop_iteration_of_a_tasks_evaluation_is_an_error_too(monkeypatch):
    trainer = Trainer(rings())
    monkeypatch.setattr(type(trainer.task), "evaluate", nothing)
    with pytest.raises(RuntimeError, match="StopIteration"):
        next(trainer)


@pytest.mark.parametrize(
    "rate", [np.float64(0.03), np.float32(0.03), torch.tensor(0.03), 0], ids=repr
)
def test_any_number_is_a_learning_rate_and_a_trial_with_it_resumes(rate, tmp_path):
    config = rings(lr_schedule=own(Schedule, rate=lambda *_: rate))
    first = Trainer(config)
    next(first)
    first.save(tmp_path / "state.safetensors")
    second = Trainer.load(tmp_path / "state.safetensors")
    assert list(second) == list(first)
    assert second.history == first.history
    assert first.history[-1].lr == float(rate)
    assert type(first.history[-1].lr) is float


@pytest.mark.parametrize("rate", [math.nan, math.inf, -0.1, None, "0.1", (0.1, 0.1), 1j], ids=repr)
def test_a_learning_rate_that_cannot_be_is_one_line(rate):
    with pytest.raises(InputError, match="gave the learning rate"):
        next(Trainer(rings(lr_schedule=own(Schedule, rate=lambda *_: rate))))


class Rowwise(torch.optim.Optimizer):
    """Keeps a mean for each row of a gradient, by the name that torch has for one an element."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                kept = self.state[p].setdefault("exp_avg", torch.zeros(len(p)))
                kept.lerp_(p.grad.reshape(len(p), -1).mean(1), 0.1)
                p -= group["lr"] * p.grad / (1 + kept.norm())


def test_an_optimizer_of_ones_own_resumes_with_state_of_any_shape(tmp_path):
    name = own(Optimizer, build=lambda self, parameters, lr, decay: Rowwise(parameters, lr))
    first = Trainer(rings(optimizer=name))
    next(first)
    first.save(tmp_path / "state.safetensors")
    second = Trainer.load(tmp_path / "state.safetensors")
    assert list(second) == list(first)


class Inheriting(torch.optim.Adam):
    pass


class Wrapping(torch.optim.Optimizer):
    """Lets an Adam of torch take the steps of its groups and state."""

    def __init__(self, parameters, lr):
        self.inner = torch.optim.Adam(parameters, lr=lr)
        super().__init__(self.inner.param_groups, {})

    def step(self):
        self.inner.param_groups, self.inner.state = self.param_groups, self.state
        self.inner.step()


@pytest.mark.parametrize("of", [Inheriting, Wrapping])
def test_where_torch_may_take_the_steps_state_of_another_shape_is_refused(of, tmp_path):
    name = own(Optimizer, build=lambda self, parameters, lr, decay: of(parameters, lr=lr))
    trainer = Trainer(rings(optimizer=name))
    next(trainer)
    kept = trainer.state.optimizer.state
    parameter = next(p for p in kept if p.dim() == 2)
    trainer.save(tmp_path / "state.safetensors")
    Trainer.load(tmp_path / "state.safetensors")
    kept[parameter]["exp_avg"] = kept[parameter]["exp_avg"][:1]
    trainer.save(tmp_path / "state.safetensors")
    with pytest.raises(InputError, match="exp_avg of shape"):
        Trainer.load(tmp_path / "state.safetensors")


@pytest.mark.parametrize(
    "build",
    [
        lambda *_: None,
        lambda *_: torch.optim.SGD,
        lambda self, parameters, lr, decay: list(parameters),
        lambda self, parameters, lr, decay: torch.optim.LBFGS(parameters, lr=lr),
    ],
    ids=["none", "class", "list", "LBFGS"],
)
def test_an_optimizer_that_takes_no_steps_by_gradients_alone_is_one_line(build):
    with pytest.raises(InputError, match="optimizer 'own' is built as") as error:
        Trainer(rings(optimizer=own(Optimizer, build=build)))
    assert "\n" not in str(error.value)


def test_a_model_that_changes_its_batch_in_place_is_told_before_the_data_are_changed(monkeypatch):
    rows, labels = torch.randn(8, 2), torch.arange(8) % 3
    before = rows.clone()
    task = rings().task
    monkeypatch.setattr(type(task), "batches", lambda *_: iter([(rows, labels)]))
    task.check()
    built = type(task).build

    def centring(self, architecture):
        model = built(self, architecture)
        model.register_forward_pre_hook(lambda model, inputs: inputs[0].sub_(4.88))
        return model

    monkeypatch.setattr(type(task), "build", centring)
    with pytest.raises(InputError, match="changes its batch in place"):
        task.check()
    assert torch.equal(rows, before)


SPEC = DataSpec(classes=4, val_per_class=5, mean=(0.5,), std=(0.4,))


def images(n: int = 80, seed: int = 0) -> Images:
    draw = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (n, 1, 8, 8), generator=draw, dtype=torch.uint8)
    return Images(pixels, torch.arange(n) % 4)


def on_images(name: str, **options: Any) -> TrialConfig:
    given = {"policy": "none", "epochs": 2, "architecture": "1-1-1", "batch_size": 16}
    return TrialConfig(dataset=name, device="cpu", compile="off", **{**given, **options})


def test_a_trial_on_a_plugins_images_is_not_resumed_once_they_have_changed(tmp_path):
    seed = 0
    name = own(
        ImageSource, spec=SPEC, __annotations__={},
        read=lambda *_: (images(seed=seed), None), state=lambda *_: str(seed),
    )  # fmt: skip
    config = on_images(name)
    trainer, known = Trainer(config), own_data([config])
    next(trainer)
    trainer.save(tmp_path / "state.safetensors")
    Trainer.load(tmp_path / "state.safetensors")
    check_own_data(known, [config])
    seed = 1
    with pytest.raises(InputError, match="have changed since the trial began"):
        Trainer.load(tmp_path / "state.safetensors")
    with pytest.raises(InputError, match="have changed since the search began"):
        check_own_data(known, [on_images(name)])


def other(**changes: Any) -> Images:
    """Images of which pixels or labels are others."""
    usual = images()
    return Images(changes.get("images", usual.images), changes.get("labels", usual.labels))


PIXELS, LABELS = images().images, images().labels


@pytest.mark.parametrize(
    ("given", "spec", "told"),
    [
        (lambda: images(), {}, "return a pair of Images"),
        (lambda: (PIXELS, LABELS), {}, "return a pair of Images"),
        (lambda: (other(images=PIXELS.numpy()), None), {}, "are ndarray; give a tensor"),
        (lambda: (other(labels=LABELS.numpy()), None), {}, "are ndarray; give a tensor"),
        (lambda: (other(labels=LABELS.int()), None), {}, "torch.int32 and shape (80,)"),
        (lambda: (other(labels=LABELS[:, None]), None), {}, "shape (80, 1)"),
        (lambda: (other(labels=LABELS[:70]), None), {}, "are 80, but there are 70 labels"),
        (lambda: (other(labels=LABELS + 1), None), {}, "have the label 4, but labels of 4"),
        (lambda: (other(labels=LABELS - 1), None), {}, "have the label -1, but labels of 4"),
        (lambda: (other(images=PIXELS[:, 0]), None), {}, "shape (80, 8, 8); give"),
        (lambda: (other(images=PIXELS.permute(0, 2, 3, 1)), None), {}, "put channels first"),
        (lambda: (other(images=PIXELS / 255), None), {}, "at most 1, but pixel_max of the spec"),
        (lambda: (other(images=PIXELS * math.nan), None), {}, "NaN or infinity"),
        (lambda: (images(), images(0)), {}, "test images of dataset 'own' are none"),
        (lambda: (images(), other(images=PIXELS / 255)), {}, "pixels of test images"),
        (lambda: (images(), other(images=PIXELS / 1)), {}, "test images of dataset 'own' have dt"),
        (lambda: (images(), other(images=PIXELS[..., 1:])), {}, "have (1, 8, 8); convert"),
        (lambda: (images(), None), {"std": (0.0,)}, "std and pixel_max above 0"),
        (lambda: (images(), None), {"classes": 1}, "classes=1; give 2 or more"),
        (lambda: (images(), None), {"val_per_class": 0}, "val_per_class=0"),
        (lambda: (images(), None), {"class_names": ("a", "b")}, "2 class_names"),
        (lambda: (images(), None), {"mean": (0.5,) * 3}, "mean for 3 channels"),
    ],
)
def test_images_that_are_not_those_of_their_spec_are_told_in_a_line(given, spec, told):
    name = own(ImageSource, spec=replace(SPEC, **spec), read=lambda *_: given())
    with pytest.raises(InputError) as error:
        Trainer(on_images(name))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def growing(*_: Any) -> Grow:
    return Grow(Architecture("4"), "it says so")


def test_what_a_policy_does_not_propose_is_that_of_every_policy():
    name = own(Policy, decide=lambda *_: None, proposals=lambda *_: {"epochs": 5})
    for config in (TrialConfig(task="rings", policy=name), TrialConfig(policy=name)):
        assert config.epochs == 5
        assert (config.batch_size, config.weight_decay) == (128, 2e-4)
    assert TrialConfig(policy=name).initializer.momentum_on_growth == "reset"


@pytest.mark.parametrize("proposals", [{"lrr": 1}, None, 7], ids=repr)
def test_proposals_of_a_policy_that_cannot_be_are_one_line(proposals):
    name = own(Policy, decide=lambda *_: None, proposals=lambda *_: proposals)
    with pytest.raises(InputError, match="proposals of policy 'own'"):
        rings(policy=name)


def test_proposals_that_are_no_method_are_told_at_registration():
    with pytest.raises(InputError, match="define proposals"):
        own(Policy, decide=lambda *_: None, proposals={"epochs": 5})


@pytest.mark.parametrize("base", [ImageSource, ImageFamily])
def test_proposals_of_data_sets_and_networks_name_options(base):
    attributes = {"read": nothing, "spec": SPEC, "block": nothing, "widths": (8,)}
    name = own(base, proposals={"lrr": 1}, subnetworks=1, residual=False, **attributes)
    with pytest.raises(InputError, match="'own' have 'lrr', which is no option"):
        TrialConfig(**{base.kind: name})


def test_a_policy_that_says_it_does_not_grow_may_not():
    trainer = Trainer(rings(policy=own(Policy, decide=growing, grows=False)))
    with pytest.raises(InputError, match="policy 'own' decided to grow, but says grows = False"):
        next(trainer)


def test_a_component_is_given_under_its_own_kind():
    policy = component("policy", own(Policy, decide=growing))
    assert rings(policy=policy()).policy == policy()
    with pytest.raises(InputError, match=r"initializer=Own is policy 'own'; give it as policy="):
        rings(initializer=policy())
    with pytest.raises(InputError, match="is not registered"):
        rings(policy=type("Mine", (Policy,), {"decide": growing})())
    with pytest.raises(InputError, match="policy=Mine is not registered"):  # its parent is
        rings(policy=type("Mine", (type(policy()),), {"decide": growing})())


def test_a_trainer_takes_an_epoch_store_and_a_way_to_keep_states(tmp_path):
    with pytest.raises(InputError, match="is no EpochStore; give EpochStore"):
        Trainer(rings(), store=str(tmp_path))
    with pytest.raises(InputError, match="unknown keep_states 'fork'; did you mean 'forks'"):
        Trainer(rings(), keep_states="fork")


def test_a_state_whose_plugin_is_not_loaded_says_how_to_load_it(tmp_path):
    with forgetting():
        register("task", "squares")(type("Squares", (type(rings().task),), {}))
        trainer = Trainer(TrialConfig(task="squares", policy="none", epochs=2))
        trainer.save(tmp_path / "state.safetensors")
    with pytest.raises(InputError, match=r"unknown task 'squares'.*growsearch.load_plugins"):
        Trainer.load(tmp_path / "state.safetensors")


EPOCH = record(epoch=1)


@pytest.mark.parametrize("base", [Optimizer, ImageFamily, ImageSource])
def test_a_method_in_place_of_proposals_is_one_line(base):
    attributes = {"build": nothing, "read": nothing, "spec": SPEC, "block": nothing, "widths": (8,)}
    name = own(base, proposals=lambda *_: {}, subnetworks=1, residual=False, **attributes)
    with pytest.raises(InputError, match=r"'own' are .*; write a mapping of options"):
        TrialConfig(**{base.kind: name})


@pytest.mark.parametrize(
    ("fall", "told"),
    [
        (Fall("lin", 0.0, 2.0, 0.0), "gave the shape 'lin'; choose from linear, cosine, 1-sqrt"),
        (("linear", 0.0, 2.0, 0.0), r"returned \('linear', 0.0, 2.0, 0.0\); return None or Fall"),
    ],
)
def test_a_fall_that_cannot_be_is_one_line(fall, told):
    schedule = own(Schedule, rate=lambda self, trial, history, lr: lr, fall=lambda *_: fall)
    with pytest.raises(InputError, match=told):
        next(Trainer(TrialConfig(lr_schedule=schedule, train_size=100, epochs=2, policy="none")))


def test_a_schedule_that_defines_a_fall_is_one_that_falls_within_epochs():
    fall = Fall("linear", 0.0, 2.0, 0.0)
    schedule = own(Schedule, rate=lambda self, trial, history, lr: lr, fall=lambda *_: fall)
    options = {"train_size": 100, "batch_size": 50, "epochs": 2, "policy": "none", "lr": 0.1}
    trainer = Trainer(TrialConfig(lr_schedule=schedule, **options))
    assert trainer.steps == 2
    assert [record.lr for record in trainer] == pytest.approx([0.075, 0.025])


def test_an_initializer_that_trains_nothing_apart_is_one_line():
    apart = {
        "is_apart": lambda *_: True,
        "sources": lambda self, old, new: {k: k for k in range(old)},
    }
    grows = {"policy": "fixed", "growth_epochs": (1,), "growth_architectures": ("3-2-2",)}
    options = {"train_size": 100, "epochs": 2, "lr_schedule": "constant", **grows}
    with pytest.raises(InputError, match="apart_parameters gives none of their parameters; return"):
        list(Trainer(TrialConfig(initializer=own(Initializer, **apart), **options)))


def test_an_architecture_of_other_stacks_is_told_in_a_sentence():
    policy = own(Policy, decide=lambda *_: Grow(Architecture("4-4"), "it says so"))
    told = (
        "policy 'own' decided to grow, and architecture '4-4' has 2 sub-networks, but basic3resnet"
    )
    with pytest.raises(InputError, match=told):
        list(Trainer(TrialConfig(policy=policy, train_size=100, epochs=2)))


@pytest.mark.parametrize("given", [3, Policy], ids=repr)
def test_what_is_no_component_cannot_be_registered(given):
    with pytest.raises(InputError):
        register("policy", "own")(given)


@pytest.mark.parametrize("role", ["epochs", "", 3], ids=repr)
def test_a_role_that_does_not_exist_is_told_at_registration(role):
    """An option with it would be in no key, and share epochs of trials that differ in it."""
    with pytest.raises(InputError, match="option 'pace' has the role"):
        own(
            Optimizer, build=nothing, pace=option(0.5, "x", role=role),
            __annotations__={"pace": float},
        )  # fmt: skip


@pytest.mark.parametrize("value", [math.nan, -1.0, math.inf, None, "1"], ids=repr)
def test_a_least_cost_that_cannot_be_is_one_line(value):
    own(Cost, of_epoch=lambda *_: 1.0, least=lambda *_: value)
    trainer = Trainer(rings(epochs=3))
    with pytest.raises(InputError, match=r"least of cost 'own' returned .*; return a finite"):
        CostBound(trainer.config, sizes_of(trainer.config)).extend(next(trainer))


def test_a_least_cost_above_what_an_epoch_has_cost_is_one_line():
    own(Cost, of_epoch=lambda *_: 1.0, least=lambda *_: 5.0)
    trainer = Trainer(rings(epochs=3))
    with pytest.raises(InputError, match=r"least of cost 'own' is 5 for epoch 1, which cost 1, "):
        CostBound(trainer.config, sizes_of(trainer.config)).extend(next(trainer))


@pytest.mark.parametrize("value", [torch.tensor(2.5), np.float32(2.5), 2.5], ids=repr)
def test_any_number_is_a_cost(value):
    cost = cost_of(own(Cost, of_epoch=lambda *_: value))
    assert epoch_costs(cost, [EPOCH]) == [2.5]
    assert type(epoch_costs(cost, [EPOCH])[0]) is float


@pytest.mark.parametrize("value", [math.nan, -1.0, math.inf, None, "1", torch.ones(2)], ids=repr)
def test_a_cost_that_cannot_be_is_one_line(value):
    cost = cost_of(own(Cost, of_epoch=lambda *_: value))
    with pytest.raises(InputError, match="of_epoch of cost 'own' returned"):
        epoch_costs(cost, [EPOCH])


@pytest.mark.parametrize("made", [None, optuna.samplers.RandomSampler], ids=repr)
def test_a_sampler_that_makes_none_of_optunas_is_one_line(made):
    sampler = component("sampler", own(Sampler, optuna_sampler=lambda *_: made))()
    with pytest.raises(InputError, match="optuna_sampler of sampler 'own' returned"):
        made_sampler(sampler, seed=0, startup_trials=1)


@pytest.mark.parametrize(
    ("base", "name"),
    [(Task, "steps"), (Task, "size"), (Task, "stacks"), (Policy, "grows"),
     (Schedule, "falls"), (Policy, "values")],
)  # fmt: skip
def test_an_option_may_not_be_named_like_an_attribute_of_a_base_class(base, name):
    methods = dict.fromkeys(base.__abstractmethods__, nothing)
    usual = {"stacks": ("blocks",)} if base is Task else {}
    attributes = {**usual, **methods, name: option(1, "a number")}
    with pytest.raises(InputError, match=f"option {name!r} .* is named like an attribute"):
        own(base, __annotations__={name: int}, **attributes)


def test_an_option_that_a_base_class_has_may_have_another_default():
    base = component("policy", "periodic")
    kind = base.options()["patience"].kind
    name = own(base, __annotations__={"patience": kind}, patience=option(9, "epochs", least=1))
    assert component("policy", name)().patience == 9


def test_files_of_plugins_are_not_the_task_to_check():
    line = ["my.py:Mine", "--plugin", "other.py", "--plugin=third.py", "--epochs", "3"]
    assert targets_in(line) == ["my.py:Mine"]
    assert targets_in(["--plugin", "other.py", "my.py"]) == ["my.py"]
