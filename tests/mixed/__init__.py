"""Tests of what only one flavour has."""
