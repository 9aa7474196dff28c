"""Redis and Valkey for everyone: the way there, scripts, and what several processes of one instance agree on."""
