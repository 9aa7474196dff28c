"""The roof: one config becomes a running service; boot order, command line, migrations."""
