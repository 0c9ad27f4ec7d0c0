"""A network that is a codec: what it says of itself follows from its options."""

from __future__ import annotations

from diffusers import ConfigMixin, ModelMixin

REACH = 8.0
"""How far codes reach from 0, in their standard deviations: estimates are kept within."""


class CodecNetwork(ModelMixin, ConfigMixin):
    """The facts of ``diffad.protocols.Codec``, of a network with the options dims, channels and latent."""

    @property
    def dims(self) -> int:
        """Spatial axes."""
        return int(self.config.dims)

    @property
    def factor(self) -> int:
        """Pixels of the image between two cells of the code."""
        return int(2 ** (len(self.config.channels) - 1))

    @property
    def in_channels(self) -> int:
        """Channels of the image."""
        return int(self.config.in_channels)

    @property
    def code_channels(self) -> int:
        """Channels of a code."""
        return int(self.config.latent)

    @property
    def reach(self) -> float:
        """How far codes reach from 0."""
        return REACH
