"""``fediviews sigtool``: what a signature is about, made visible. Reads one HTTP request, says one thing about it."""
