"""Credentials: where they come from, how they are obtained and renewed, and where they stand in a request.

A manifest's `auth` becomes a `Scheme` (`schemes`), which is pure: it names the variables that it needs, obtains a
token by a flow (a generator that yields requests and receives responses), and puts the token into requests.
`Credentials` drives it for one account and is the one place with I/O. Secrets are `Secret` values from where they
are found (`lookup`, `tokenfile`) until they stand in a request.
"""
