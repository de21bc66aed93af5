"""What stops and pauses the trials of a search: a scheduler in each module."""
