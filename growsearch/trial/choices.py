"""The names that a trial's options are chosen from, and what is known of them by name alone."""

DATASETS = (
    "digits", "fashion-mnist", "mnist", "cifar10", "cifar100", "svhn", "tiny-imagenet", "imagenet"
)  # fmt: skip
SPLITS = ("clean", "paper", "autogrow-paper")
NETWORKS = {
    "basic3resnet": 3,
    "preact3resnet": 3,
    "plain3net": 3,
    "basic4resnet": 4,
    "basic4resnet-imagenet": 4,
    "bottleneck4resnet": 4,
    "bottleneck4resnet-imagenet": 4,
    "plain4net": 4,
    "plain4net-imagenet": 4,
}
"""Network families and their number of sub-networks."""
PLAIN = ("plain3net", "plain4net", "plain4net-imagenet")
"""Families without shortcuts."""

DATA = ("dataset", "data_dir", "split", "train_size", "train_fraction", "image_size")
"""Options that say what is trained on."""
GROWING = ("initializer", "scaling", "placement", "momentum_on_growth")
"""Options that say how a network grows; when and to what are the policy's."""
_SCHEDULED = ("growth_epochs", "growth_architectures", *GROWING)
_LIPSCHITZ = ("rtol", "window", "baseline", "reserve", "max_architecture", *GROWING)
_CONVERGENT = ("interval", "tau", "finetune_epochs", "max_architecture", *GROWING)
POLICIES = {
    "none": (),
    "fixed": _SCHEDULED,
    "hand-tuned": _SCHEDULED,
    "lipschitz": _LIPSCHITZ,
    "lipschitz-subnetworks": _LIPSCHITZ,
    "periodic": ("patience", *_CONVERGENT),
    "convergent": _CONVERGENT,
}
"""Growth policies and the options that have a meaning for each."""
LIPGROW = ("lipschitz", "lipschitz-subnetworks")
AUTOGROW = ("periodic", "convergent")

BASELINES = ("window", "first-epoch")
INITIALIZERS = (
    "clone", "default", "zero", "uniform", "uniform-official", "gaussian", "adam", "partial"
)  # fmt: skip
LAST_NORMALIZATION = ("zero", "uniform", "uniform-official", "gaussian", "adam")
"""Initializers that treat the last batch normalization of a residual."""
SCALINGS = ("paper", "paper-literal", "step-size")
PLACEMENTS = ("between", "end")
MOMENTA = ("reset", "carry")
LR_SCHEDULES = {
    "adaptive-cosine": False, "cosine": False, "cosine-restarts": True, "step": True,
    "staircase": False, "constant": False,
}  # fmt: skip
"""Learning-rate schedules, and whether epochs can be given to them."""
BN_GAMMAS = ("one", "uniform")
LIPSCHITZ_DETAILS = ("subnetworks", "blocks", "layers")
KEPT = ("all", "forks", "last")
"""Which training states stay in an epoch store."""
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "float32", "bfloat16")
COMPILE = ("auto", "on", "off")
COSTS = {
    "ppe": "ppe", "param_epochs": "param_epochs", "flops": "train_flops", "seconds": "seconds"
}  # fmt: skip
"""What a search may call cost, and its column in results."""
METRICS = {"val_accuracy": (0.0, 100.0), "val_loss": (-10.0, 0.0)}
"""What a search may call accuracy, and its range; a loss is taken negative."""
LOSSES = ("val_loss",)
SCHEDULERS = ("none", "pareto", "asha", "median", "hyperband", "pbt")
PAUSING = ("hyperband", "pbt")
"""Those of Tune's that pause trials."""
SAMPLERS = ("tpe", "nsga2", "gp")
LOGS = ("tensorboard", "mlflow", "wandb")
"""What else a search may be told to."""
