"""Any torch module as a network that a pipeline can hold, save and load."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from diffad.registry import DETECTORS, MODELS

CAPABILITIES = (
    "conditions",
    "learns_variance",
    "null",
    "takes_place",
    "takes_neighbours",
    "takes_whole",
    "rebuild_weight",
)
"""What a network may have besides its answer: ``Conditional`` and what follows in ``diffad.protocols``."""


class WrappedNetwork(ModelMixin, ConfigMixin):
    """Gives a registered torch module what pipelines ask of a network: a config, and folders to live in.

    It is saved as its registered name, its options and its weights, and built by its name again.

    Args:
        part: Registered name of the module; empty for one that is used but cannot be saved.
        options: What it is built with.
        in_channels: Channels C of the state.
        module: The module, where it is built already.

    Raises:
        UnknownNameError: If no module of that name is registered.
    """

    ignore_for_config: ClassVar[list[str]] = ["module"]

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        part: str,
        options: Mapping[str, Any] | None = None,
        in_channels: int = 1,
        module: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.inner = MODELS[part](**(options or {})) if module is None else module
        for name in CAPABILITIES:  # as attributes, where the types of ``diffad.protocols`` look for them
            if hasattr(self.inner, name):
                self.__dict__[name] = getattr(self.inner, name)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            inner = self.__dict__.get("_modules", {}).get("inner")
            if inner is None or name.startswith("_"):
                raise
            return getattr(inner, name)

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to."""
        return int(getattr(self.inner, "multiple", 1))

    def forward(self, x_t: Tensor, labels: Tensor, **cond: Any) -> Tensor:
        """Answer for ``x_t`` (B, C, *S) at the diffusers indices ``labels`` (B,), as the module does."""
        output = self.inner(x_t, labels, **cond)
        if isinstance(output, Tensor):
            return output
        answer: Tensor = output[0] if isinstance(output, tuple) else output.sample
        return answer

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:
        """Write name, options and weights to a folder.

        Raises:
            ValueError: If the module is not registered, or an option is nothing that JSON can hold.
        """
        self._check_options()
        super().save_pretrained(save_directory, **options)

    def _check_options(self) -> None:
        part = self.config.part
        if not part:
            raise ValueError(
                f"{type(self.inner).__name__}: expected a registered network to save, got a module without a "
                "name; register it with @MODELS.register and build it by its name"
            )
        for name, value in (self.config.options or {}).items():
            try:
                json.dumps(value)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"network {part!r}: expected options that JSON can hold, as it is to be saved, got "
                    f"{name} = {value!r}"
                ) from error


def wrap_network(name: str, options: Mapping[str, Any], network: Any) -> Any:
    """Make a network of any torch module; one that saves and loads by itself passes.

    Args:
        name: Registered name; empty for a module that is not registered.
        options: What it was built with.
        network: What was built.
    """
    registered_class = MODELS[name] if name else None
    is_whole = isinstance(network, ModelMixin) and type(network) is registered_class
    if is_whole or not isinstance(network, nn.Module) or (not name and hasattr(network, "config")):
        return network
    channels = options["in_channels"] if "in_channels" in options else _find_channels(name, network)
    return WrappedNetwork(part=name, options=dict(options), in_channels=channels, module=network)


def _find_channels(name: str, network: nn.Module) -> int:
    """Return the channels of a network that was not told how many: its option's default, or its attribute."""
    parameter = inspect.signature(MODELS[name]).parameters.get("in_channels") if name else None
    return int(getattr(network, "in_channels", 1) if parameter is None else parameter.default)


def list_network_classes() -> list[Any]:
    """Return the classes that a model's folder may name: the registered ones, and the wrapper of others."""
    registries = (MODELS, DETECTORS)
    names = [set(registry) for registry in registries]  # asking for them brings all parts in
    pairs = zip(registries, names, strict=True)
    return [WrappedNetwork, *(p for r, present in pairs for n, p in r.list_registered() if n in present)]
