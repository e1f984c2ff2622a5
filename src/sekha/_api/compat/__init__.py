"""All that depends on differences between servers; D numbers are those of docs/contributing/server-differences.md.

All functions here are pure. A function named ``normalize_...`` turns a `Response` into the documented type, which is
then validated.
"""
