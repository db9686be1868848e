"""The image registry that the tests fill: a table that the kubelet reads at each pull."""

import json
from collections.abc import Iterator, MutableMapping
from dataclasses import asdict
from pathlib import Path

from .kubelet.images import Image


class Images(MutableMapping[str, Image]):
    """Images by name with tag. What is set or deleted holds from the next pull on."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._table: dict[str, Image] = {}
        self._write()

    def __getitem__(self, name: str) -> Image:
        return self._table[name]

    def __setitem__(self, name: str, image: Image) -> None:
        self._table[name] = image
        self._write()

    def __delitem__(self, name: str) -> None:
        del self._table[name]
        self._write()

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def _write(self) -> None:
        part = self.file.with_suffix(".part")
        part.write_text(json.dumps({name: asdict(image) for name, image in self._table.items()}), encoding="utf-8")
        part.replace(self.file)
