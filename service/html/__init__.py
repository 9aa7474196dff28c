"""Our own pages for people, but for the dashboard: made of ``service/templates``, beside ``service/static``."""
