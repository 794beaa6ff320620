"""Where a database in memory puts what does not fit: a folder that nobody else may read, and that goes when it goes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: Where programs are told to put large files, else the system's folder for those that may outlive a restart: what is
#: in memory often is no place for what did not fit into memory.
_PLACES = ("TMPDIR", "TEMP", "TMP")
_USUAL = "/var/tmp"  # noqa: S108 -- the folder within it is made here, for its owner alone


def make() -> Path | None:
    """A new, empty folder; None where none can be made: then DuckDB spills where it would.

    A process that is killed leaves it to the system, which tidies its temporary files up.
    """
    place = next(filter(None, map(os.environ.get, _PLACES)), _USUAL)
    folder = Path(place, f"apiql-{os.getpid()}-{os.urandom(8).hex()}").absolute()
    try:
        folder.mkdir(mode=0o700)
    except OSError:
        return None
    return folder


def remove(folder: Path) -> None:
    """Remove a folder with what is in it, if it is there."""
    shutil.rmtree(folder, ignore_errors=True)
