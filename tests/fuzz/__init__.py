"""Hostile inputs, made from good ones by seeded mutations; see ``python -m tests.fuzz.run --help``."""
