"""The roof: one config becomes a running service; boot order, command line, migrations."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("fediviews")
except PackageNotFoundError:  # run from a tree that was never installed
    VERSION = "0.1.0"
