"""The catalog: every video we know, ours and remote ones, how it is found, what may be written of it."""
