"""How long an answer may be used again, as manifests and SET write it: `30s`, `10m`, `2h`, `1d`."""

from __future__ import annotations

import re

_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def seconds_of(text: str) -> int:
    """The seconds of a time such as `10m`.

    Raises:
        ValueError: it is written differently.
    """
    m = re.fullmatch(r"(\d+)([smhd])", text)
    if m is None:
        raise ValueError("it is a time such as 30s, 10m, 2h or 1d")
    return int(m[1]) * _SECONDS[m[2]]
