"""What networks of slices share: what they are told of a slice, and how they pad and mark."""

from __future__ import annotations

from diffusers import ConfigMixin, ModelMixin
from torch import Tensor, nn

from diffad.models.embedding import check_embedding, check_width, embed, make_embedding_layers
from diffad.models.neighbours import join_neighbours
from diffad.models.padding import check_input, run_padded
from diffad.models.patches import check_patch
from diffad.models.place import drop_places, encode_places, make_place_layers


class SliceNetwork(ModelMixin, ConfigMixin):
    """A network of slices that may be told a vector, places and neighbours, and may mark anomalies.

    It has the options ``in_channels``, ``out_channels``, ``patch``, ``embedding``, ``place``, ``place_drop``,
    ``marks`` and ``neighbours``, and answers in ``answer_padded``.
    """

    condition: nn.Sequential | None
    place_layers: nn.Sequential | None

    def check_conditions(self) -> None:
        """Refuse a patch without a side, and conditions that cannot be.

        Raises:
            ValueError: With what was expected and found.
        """
        config, name = self.config, type(self).__name__
        check_patch(config.patch, name)
        check_width(config.embedding, name)
        if config.neighbours < 0:
            raise ValueError(f"{name} expected neighbours of at least 0, got {config.neighbours}")
        if not 0 <= config.place_drop <= 1:
            raise ValueError(f"{name} expected place_drop in [0, 1], got {config.place_drop}")

    def add_conditions(self, length: int) -> None:
        """Build the layers that make vectors of ``length`` of what the network is told, if it is."""
        width = self.config.embedding
        self.condition = make_embedding_layers(width, length) if width else None
        self.place_layers = make_place_layers(length) if self.config.place else None

    @property
    def channels_seen(self) -> int:
        """Channels of a state with its neighbours."""
        return int((1 + 2 * self.config.neighbours) * self.config.in_channels)

    @property
    def channels_answered(self) -> int:
        """Channels of the answer with its marks."""
        return int(self.config.out_channels + self.config.marks)

    @property
    def marks(self) -> bool:
        """Whether the last channel of its answer says how likely a voxel is not healthy."""
        return bool(self.config.marks)

    @property
    def takes_place(self) -> bool:
        """Whether it may be told the place of a slice in the brain."""
        return self.place_layers is not None

    @property
    def takes_neighbours(self) -> int:
        """How many slices below and above its own it is shown."""
        return int(self.config.neighbours)

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to."""
        return int(self.config.patch)

    def forward(
        self,
        x_t: Tensor,
        labels: Tensor,
        embedding: Tensor | None = None,
        place: Tensor | None = None,
        neighbours: Tensor | None = None,
    ) -> Tensor:
        """Answer for ``x_t`` (B, C, H, W) at the diffusers indices ``labels`` (B,).

        Args:
            x_t: State.
            labels: Level less 1.
            embedding: Condition vectors, (B, embedding), where the network takes them.
            place: Orientation and position of each slice, (B, 2), see ``diffad.data.place``; none where not
                known.
            neighbours: Slices below and above each, noised alike, (B, 2 N C, H, W), if it takes them.
        """
        config, name = self.config, type(self).__name__
        check_input(x_t, config.in_channels, 2, name)
        check_embedding(embedding, config.embedding, len(x_t), name)
        vector, places = embed(self.condition, embedding, self.dtype), self._embed_places(place, len(x_t))
        state = join_neighbours(x_t, neighbours, config.neighbours, name)
        return run_padded(
            lambda x: self.answer_padded(x.to(self.dtype), labels, vector, places), state, self.multiple
        )

    def _embed_places(self, place: Tensor | None, batch: int) -> Tensor | None:
        if self.place_layers is None:
            if place is not None:
                name = type(self).__name__
                raise ValueError(f"{name} expected no place, as it was built with place = false, got one")
            return None
        place = drop_places(place, self.config.place_drop) if self.training else place
        places: Tensor = self.place_layers(encode_places(place, batch, next(self.place_layers.parameters())))
        return places

    def answer_padded(
        self, x: Tensor, labels: Tensor, vector: Tensor | None, places: Tensor | None
    ) -> Tensor:
        """Answer for states (B, C, H, W) whose sides are multiples of ``multiple``.

        Args:
            x: States and their neighbours.
            labels: Level less 1, (B,).
            vector: What the embedding has become, (B, length); none for a network without.
            places: What the places have become, (B, length); none for a network without.
        """
        raise NotImplementedError
