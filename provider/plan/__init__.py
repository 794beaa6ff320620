"""Statement to plan: which requests feed which tables, and the SQL that DuckDB runs over them. Pure: no I/O.

The statement that DuckDB runs is the user's own text, with each resource's name replaced by a staged
table; every predicate stays in it. Planning only decides which rows must be in that staged table. Hence
the one rule: what is fetched may be more than what the answer needs, and never less.
"""
