"""Tests of the Python package, as it is installed."""
