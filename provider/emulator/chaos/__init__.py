"""A proxy that gives an API bad days: put it before any server, and see what a manifest and a client make of it.

    from provider.emulator.chaos import FAULTS, Chaos, at

    with Chaos("http://127.0.0.1:8089/v1", at(2, FAULTS["reset"])) as chaos:
        provider.connect(base_urls={"openai": chaos.base_url})

`certify` runs a reader under every fault and says what came of it.
"""

from provider.emulator.chaos.certify import Verdict, certify
from provider.emulator.chaos.faults import FAULTS, Answer, Delivery, Fault
from provider.emulator.chaos.proxy import Chaos, Received, at, at_random, never, until

__all__ = [
    "FAULTS",
    "Answer",
    "Chaos",
    "Delivery",
    "Fault",
    "Received",
    "Verdict",
    "at",
    "at_random",
    "certify",
    "never",
    "until",
]
