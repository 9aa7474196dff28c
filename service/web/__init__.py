"""What a running service answers over HTTP: every route, the socket and its bounds, scripts, live numbers."""
