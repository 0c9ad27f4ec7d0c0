"""Versions: that of the package, which a test holds to that of the project, and those of others."""

__version__ = "0.1.0"


def package_version(package: str, absent: str = "unknown") -> str:
    """Return the version of an installed package, or the word for one that is ``absent``."""
    from importlib import metadata  # each start of a command would wait for it

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return absent
