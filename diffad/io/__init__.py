"""Files and the terminal: atomic writes, names of results, progress."""
