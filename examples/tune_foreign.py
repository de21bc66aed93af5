"""ParetoScheduler for a trainable of your own, scikit-learn's perceptron, beside Optuna.

python examples/tune_foreign.py
"""

from ray import tune
from ray.tune.search.optuna import OptunaSearch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from growsearch.tuning import ParetoScheduler

EPOCHS = 10


def train(config):
    x, x_val, y, y_val = train_test_split(*load_digits(return_X_y=True), random_state=0)
    model = MLPClassifier((config["width"],), learning_rate_init=config["lr"], random_state=0)
    for epoch in range(1, EPOCHS + 1):
        accuracy = model.partial_fit(x, y, classes=range(10)).score(x_val, y_val)
        work = 74 * config["width"] * len(x)
        tune.report({"accuracy": accuracy, "work": work * epoch, "whole_work": work * EPOCHS})


if __name__ == "__main__":
    scheduler = ParetoScheduler(
        metric="accuracy", mode="max", cost="work", max_t=EPOCHS, best_metric=1.0, alpha=0.3,
        lower_bound=lambda result: result["whole_work"],
    )  # fmt: skip
    searcher = OptunaSearch(metric=["accuracy", "whole_work"], mode=["max", "min"], seed=0)
    space = {"width": tune.lograndint(4, 256), "lr": tune.loguniform(1e-4, 1e-1)}
    config = tune.TuneConfig(scheduler=scheduler, search_alg=searcher, num_samples=8)
    tune.Tuner(train, param_space=space, tune_config=config).fit()
    for trial in scheduler.front:
        print(f"trial {trial.trial}: accuracy {trial.accuracy:.3f} for {trial.costs[0]:,.0f}")
    for stop in scheduler.stops.values():
        print(f"trial {stop.trial} stopped: {stop}")
