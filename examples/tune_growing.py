"""Growing networks in your own Tune code: ASHA over LipGrow's tolerance, on the digits.

python examples/tune_growing.py
"""

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from growsearch.tuning import GrowingTrial

EPOCHS = 4


def main() -> None:
    tuner = tune.Tuner(
        tune.with_resources(GrowingTrial, {"cpu": 1}),
        param_space={
            "dataset": "digits", "train_size": 100, "epochs": EPOCHS, "lr": 0.1,
            "architecture": "1-1-1", "policy": "lipschitz", "initializer": "zero", "window": 1,
            "rtol": tune.uniform(1.0, 1.5),
        },
        tune_config=tune.TuneConfig(
            metric="val_accuracy", mode="max", num_samples=4, reuse_actors=True,
            scheduler=ASHAScheduler(max_t=EPOCHS, grace_period=2, reduction_factor=2),
        ),
        run_config=tune.RunConfig(verbose=0),
    )  # fmt: skip
    for result in tuner.fit():
        print(
            f"rtol {result.config['rtol']:.3f}: {result.metrics['epoch']} epochs, "
            f"{result.metrics['val_accuracy']:.1f} %, {result.metrics['ppe']:,.0f} PPE"
        )


if __name__ == "__main__":
    main()
