"""Whether this machine, its storage and its cluster are fit for a search: `growsearch doctor`."""
