"""Compares the trainer's speed on tasks of one's own with the loop that one would write by hand.

    python benchmarks/own_tasks.py              # two minutes on two quiet cores
    python benchmarks/own_tasks.py --pairs 3

The tasks are the GPT and the vision transformer of examples/, four blocks deep. The loop by hand
takes the same batches, model and optimizer, in float32, and does nothing but forward pass, backward
pass and optimizer step. Both train an epoch in turn, in alternating order; the table shows the
median, the least and the largest ratio of the pairs.
"""

import argparse
import tempfile
from pathlib import Path
from statistics import median

import torch
from heading import heading
from steps import seconds
from torch.nn import functional as F

from growsearch import Trainer, TrialConfig
from growsearch.training.epoch import train_epoch
from growsearch.training.state import TrainState
from growsearch.trial.plugins import load_plugins

EXAMPLES = Path(__file__).parent.parent / "examples"


def ratios(config: TrialConfig, pairs: int) -> tuple[float, list[float]]:
    """Steps a second of the trainer, and its speed over the loop's in each pair."""
    trainer = Trainer(config)
    task = trainer.task
    rates = trainer.path.rates.taken(task.steps)
    state = TrainState.initial(task)
    model, optimizer = state.network.train(), state.optimizer
    steps = len(list(task.batches("train", 0, 1)))

    def by_hand() -> None:
        for inputs, targets in task.batches("train", 0, 1):
            optimizer.zero_grad()
            logits = model(inputs)
            F.cross_entropy(logits.flatten(0, -2), targets.flatten()).backward()
            optimizer.step()

    def by_trainer() -> None:
        train_epoch(trainer.state, rates, task)

    by_hand(), by_trainer()  # warm
    found, fastest = [], []
    for pair in range(pairs):
        runs = [by_hand, by_trainer] if pair % 2 else [by_trainer, by_hand]
        took = {run: seconds(run) for run in runs}
        found.append(took[by_hand] / took[by_trainer])
        fastest.append(took[by_trainer])
    return steps / median(fastest), found


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=7)
    given = parser.parse_args()
    load_plugins([str(EXAMPLES / name) for name in ("gpt.py", "vit.py")])
    print(heading(f"{torch.get_num_threads()} threads, {given.pairs} pairs"))
    print(f"{'task':<30} {'steps/s':>8} {'ratio':>6} {'least':>6} {'largest':>8}")
    with tempfile.NamedTemporaryFile(suffix=".txt") as text:
        text.write(torch.randint(256, (100_000,), dtype=torch.uint8).numpy().tobytes())
        text.flush()
        usual = {"policy": "none", "precision": "float32", "architecture": "4", "epochs": 2}
        for name, options in {
            "gpt, width 64, context 64": {"task": "gpt", "data_dir": text.name},
            "gpt, width 128, context 64": {"task": "gpt", "data_dir": text.name, "width": 128},
            "vit, width 32, 16 patches": {"task": "vit"},
            "vit, width 96, 16 patches": {"task": "vit", "hidden": 96},
        }.items():
            speed, found = ratios(TrialConfig(**usual, **options), given.pairs)
            print(
                f"{name:<30} {speed:8.1f} {median(found):6.3f} {min(found):6.3f} {max(found):8.3f}"
            )


if __name__ == "__main__":
    main()
