"""The bytes of files: one file each, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import BinaryIO

FOLDER_NAME = "contents"
_PIECE = 2**20


class Contents:
    """The folder; None stands for a temporary one, which goes with `close`.

    What arrives has a name of its own until a transaction takes it: a killed process leaves at most such files.
    """

    def __init__(self, folder: Path | None) -> None:
        self._clean: weakref.finalize[..., Contents] | None = None
        if folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="apiql-emulator-"))
            # An application that nobody shuts down leaves no folder behind either.
            self._clean = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        else:
            self._folder = folder / FOLDER_NAME
            self._folder.mkdir(exist_ok=True)

    def close(self) -> None:
        """Removes a temporary folder."""
        if self._clean is not None:
            self._clean()

    def receive(self, source: BinaryIO) -> Path:
        """Copies what has arrived, piece by piece; where it is now. It belongs to the caller until it is taken."""
        number, name = tempfile.mkstemp(prefix="arrived-", dir=self._folder)
        with open(number, "wb") as file:
            shutil.copyfileobj(source, file, _PIECE)
        return Path(name)

    def take(self, arrived: Path, identifier: str) -> None:
        """Makes what has arrived the content of a file."""
        os.replace(arrived, self.of(identifier))

    def of(self, identifier: str) -> Path:
        """Where the bytes of a file are."""
        return self._folder / identifier

    def remove(self, identifier: str) -> None:
        """Forgets the bytes of a file, if there are any."""
        self.of(identifier).unlink(missing_ok=True)
