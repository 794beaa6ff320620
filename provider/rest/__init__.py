"""Requests and responses: the only place that speaks HTTP, and the only one that sees credentials."""
