"""Where people meet ApiQL.

`output` alone writes stdout and `diagnostics` alone writes stderr and decides exit codes; `render` turns
rows into text and knows neither. What is heavy is imported by the command that needs it.
"""
