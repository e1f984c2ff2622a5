"""What servers do differently from the documentation, and nothing else does; D numbers are those of docs/servers.md.

Everything here is pure. A function named ``normalize_...`` turns a `Response` into the documented type, which is then
validated.
"""
