"""Detour: opt one request at a time into a deployment under test."""

__version__ = "0.1.0"
