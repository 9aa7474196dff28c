"""Where history comes from: access logs and tables of comma-separated values."""
