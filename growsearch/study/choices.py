"""What can be taken out of a study, by name; it imports nothing, so that --help is quick."""

FORMATS = ("safetensors", "torch-export", "onnx")
"""Formats of an export: weights for `load_network`, or a program that needs no growsearch."""
EPOCHS = ("last", "best")
"""The epoch of a network: the last one, or the one of the best validation accuracy."""
BEST = "best"
"""Stands for the name of the best trial."""
