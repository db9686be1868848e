"""Runs the Python examples of a page, one after the other, in one module."""

import sys
from importlib import import_module
from pathlib import Path

name, file = sys.argv[1:]
page = import_module(f"docs.prepared.{name}")
names = page.names()
exec(compile(Path(file).read_text(), file, "exec"), names)
page.check(names)
