"""One YAML file for each published method; read through `diffad.config.load`."""

if __name__ != "diffad.configs":
    raise ImportError(f"this folder is the package diffad.configs: import it so, not as {__name__!r}")
