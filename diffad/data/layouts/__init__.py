"""Data sets as they lie on a user's disk: one file a layout, which turns folders into entries."""
