"""`python -m provider` is the command `apiql`."""

from __future__ import annotations

from provider.interfaces.cli import main

main()
