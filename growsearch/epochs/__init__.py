"""Each distinct epoch once."""

KEPT = ("all", "forks", "last")
"""Which training states stay in an epoch store; see Branch."""
