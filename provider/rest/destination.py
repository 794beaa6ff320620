"""Where on this machine an answer's bytes go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from provider.errors import DataError

#: The largest answer that is kept unasked, in bytes: a server that never ends must not fill the disk.
LARGEST = 8 * 2**30


@dataclass(frozen=True, slots=True)
class Destination:
    """A path that is free, or whose file may be overwritten, for at most `max_bytes`."""

    path: str
    overwrite: bool = False
    max_bytes: int = LARGEST

    def check(self) -> None:
        """Look whether the file can be made.

        Raises:
            DataError: it exists, or its folder does not.
        """
        path = Path(self.path)
        if path.is_dir():
            raise DataError(f"{self.path!r} is a directory", remedy="Name the file in it.")
        if not path.parent.is_dir():
            raise DataError(f"there is no folder {str(path.parent)!r} for {path.name!r}")
        if not self.overwrite and os.path.lexists(path):
            raise self.taken()

    def take(self, part: Path) -> None:
        """Give a whole file this name in one step; a name that somebody else has taken meanwhile stays theirs.

        Raises:
            DataError: the name is taken.
            OSError: it cannot be given.
        """
        if self.overwrite:
            os.replace(part, self.path)
            return
        try:
            os.link(part, self.path)
        except FileExistsError:
            raise self.taken() from None
        except OSError:  # a file system without hard links
            if os.path.lexists(self.path):
                raise self.taken() from None
            os.replace(part, self.path)

    def taken(self) -> DataError:
        """The error for a file that is there and may not be overwritten."""
        return DataError(f"the file {self.path!r} exists", remedy="Choose another path, or say @overwrite = true.")

    def __str__(self) -> str:
        return self.path
