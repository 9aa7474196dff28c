"""Ratios measured in one run: ``python -m benchmarks [name...]``. Never part of the tests."""
