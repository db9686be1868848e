"""What tests of commands share."""

from cli.conftest import here

__all__ = ["here"]
