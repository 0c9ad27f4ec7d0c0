"""The version of the package; a test holds it to that of the project."""

__version__ = "0.1.0"
