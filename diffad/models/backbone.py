"""What networks share that show a backbone, a network in its own right, more than a state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from diffusers import ConfigMixin, ModelMixin

from diffad.denoise import takes_neighbours, takes_place
from diffad.registry import MODELS

OWN_OPTIONS = ("in_channels", "out_channels", "embedding")
"""Options of a backbone that the network around it chooses, and no recipe."""


class BackboneNetwork(ModelMixin, ConfigMixin):
    """A network around another, its ``backbone``, which sees what the outer one makes of its input.

    What the backbone is told of a slice, the outer network takes and passes on, if its kind does so at all.
    """

    passed_conditions: ClassVar[tuple[str, ...]] = ("place", "neighbours")
    """What the kind of network passes on, of ``place`` and ``neighbours``."""

    def build_backbone(self, backbone: Mapping[str, Any], **options: Any) -> None:
        """Build the backbone, with the options that are not its to choose.

        Args:
            backbone: The network by its registered ``name`` with its options.
            options: What the network around it chooses.

        Raises:
            ValueError: If the backbone has no name, or names what is not its to choose.
        """
        kind = type(self).__name__
        if not isinstance(backbone, Mapping) or "name" not in backbone:
            raise ValueError(f"{kind} expected a backbone with a name, got {backbone!r}")
        own_options = OWN_OPTIONS if "neighbours" in self.passed_conditions else (*OWN_OPTIONS, "neighbours")
        if names := [option for option in own_options if option in backbone]:
            raise ValueError(
                f"{kind} expected a backbone without {', '.join(own_options)}, got {', '.join(names)}"
            )
        self._modules["backbone"] = MODELS.build(**backbone, **options)

    # diffusers answers for attributes with options of the same name; properties come before
    @property
    def backbone(self) -> Any:
        """What sees the state, and what is made of the rest."""
        return self._modules["backbone"]

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to."""
        return int(self.backbone.multiple)

    @property
    def takes_place(self) -> bool:
        """Whether the backbone may be told the place of a slice in the brain."""
        return "place" in self.passed_conditions and takes_place(self.backbone)

    @property
    def takes_neighbours(self) -> int:
        """How many slices below and above its own the backbone is shown."""
        return takes_neighbours(self.backbone) if "neighbours" in self.passed_conditions else 0
