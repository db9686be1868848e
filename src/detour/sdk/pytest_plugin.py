"""Runs tests under overrides."""
