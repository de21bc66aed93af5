"""The depths that p-AutoGrow and c-AutoGrow find on a small data set in a tenth of the epochs.

Run it with --dataset fashion-mnist --train-size 5000 --image-size 28 --from-scratch.
"""

both = {"network": "basic3resnet", "tau": 0.05, "finetune_epochs": 20, "epochs": 200}

param_space = [
    {**both, "policy": "periodic", "interval": 3, "patience": 10},
    {**both, "policy": "convergent", "interval": 10},
]
