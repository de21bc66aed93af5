"""Honest files of every kind that is read, from which hostile ones are made."""

import io
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from growsearch import Trainer, TrialConfig
from growsearch.epochs.kept_networks import KeptNetworks
from growsearch.epochs.store import RECORDS, STATES, EpochStore, entry_path
from growsearch.machine.saved import load_tensors
from growsearch.searches.ledger import Ledger
from growsearch.searches.messages import Report
from growsearch.study.folder import NETWORKS_FOLDER, create_study
from growsearch.study.model_file import write_model
from growsearch.study.network_spec import NetworkSpec
from growsearch.study.results import write_trial
from growsearch.trial.history import History

KEY = "ab" + "0" * 30
"""Of the record and the state in `store`."""


def made(folder: Path) -> None:
    """A small search with a network, a saved state, an exported network, a store, and images.

    In `folder` they are called study, state.safetensors, state.pt (the same, as older versions
    wrote it), network.safetensors, store, images, images.npz and picture.png.
    """
    static = TrialConfig(
        task="vision-transformer", width=4, heads=1, train_size=40, epochs=2, precision="float32",
        policy="none", architecture="1",
    )  # fmt: skip
    config = static.replaced(policy="fixed", growth_epochs=1, growth_architectures="2")
    study = create_study(
        folder / "study", command="search", searched=["policy"], trials=3, search_seed=0,
        overrides={}, settings={"metric": "val_loss"}, resources_per_trial={},
    )  # fmt: skip
    ledger = Ledger(study)
    ledger.add_all([config, static, config.replaced(lr=0.2)])
    store = EpochStore(str(folder / "epochs"))
    for name, trial in (("00001", static), ("00000", config)):
        trainer = Trainer(trial, store=store)
        history = History(trainer)
        ledger.start(name)
        for record in history:
            ledger.enter(name, Report(record=record))
        write_trial(study, name, trial, history)
        kept = KeptNetworks(study / NETWORKS_FOLDER / name, trainer.task.facts())
        kept.trained(history, trainer.state.network)
    trainer.save(folder / "state.safetensors")
    torch.save(load_tensors(folder / "state.safetensors"), folder / "state.pt")
    spec = NetworkSpec.of(config, str(trainer.state.architecture), trainer.task.facts())
    write_model(folder / "network.safetensors", trainer.state.network, spec, {})
    for kind in (RECORDS, STATES):
        first = min(path for path in (folder / "epochs" / kind).rglob("*") if path.is_file())
        target = folder / "store" / entry_path(kind, KEY)
        target.parent.mkdir(parents=True)
        shutil.copy(first, target)
    (folder / "images").write_bytes(bytes((0, 0, 8, 3, *[0, 0, 0, 2] * 3, *range(8))))
    (folder / "images.npz").write_bytes(_arrays())
    Image.new("L", (8, 8)).save(folder / "picture.png")


def _arrays() -> bytes:
    with io.BytesIO() as file:
        images = np.zeros((20, 4, 4), np.uint8)
        np.savez(file, X=images, y=np.arange(20) % 2, class_names=np.array(["a", "b"]))
        return file.getvalue()
