"""Is it alive, can it keep up, and what do its numbers say."""
