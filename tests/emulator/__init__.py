"""Tests of the emulator. A package, so that its conftest has a name of its own."""
