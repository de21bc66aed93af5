"""Where a search writes its epochs besides its study: a log in each module."""
