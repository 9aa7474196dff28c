"""Is everything as it has to be? A table of small checks, each a function that returns what it found."""
