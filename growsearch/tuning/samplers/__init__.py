"""Optuna's samplers, which draw the trials of a search: one in each module."""
