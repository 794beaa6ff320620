"""Text to statements: what kind of statement it is, and its syntax tree with positions. No names are resolved here."""
