"""The interactive shell: reads statements and backslash commands, runs them one after another, and goes on."""
