"""The command that shows versions."""

from __future__ import annotations

from diffad.io.terminal import show


def version_command() -> None:
    """Show the version of diffad, of Python, and of the packages that numbers depend on.

    \b
    Examples:
      diffad version
      diffad version --json
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.cli.machine import list_versions

    versions = list_versions()
    width = max(map(len, versions))
    show("version", "\n".join(f"{name:{width}}  {number}" for name, number in versions.items()), **versions)
