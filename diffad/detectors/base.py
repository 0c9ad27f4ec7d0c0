"""What detectors without diffusion have in common: a network that says itself where a scan is odd."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from typing import ClassVar

from diffusers import ConfigMixin, ModelMixin
from torch import Tensor

from diffad.data.space import to_model
from diffad.detectors.compare import resize
from diffad.models.padding import check_input
from diffad.types import Detection, DetectorExample


class DetectorNetwork(ModelMixin, ConfigMixin, ABC):
    """A network that maps scans to anomalies by itself; it lives in a pipeline in the place of a denoiser.

    One that learns by steps answers a training example with its losses. One that learns in a pass (``learns``
    is "pass") looks once at all training scans instead, see ``PassDetector``.
    """

    supervision: ClassVar[str] = "normal"
    """What it must be given in training; one of ``SUPERVISIONS``."""
    learns: ClassVar[str] = "steps"

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        # diffusers looks for the base of a network that it loads beside its class
        vars(sys.modules[cls.__module__]).setdefault("ModelMixin", ModelMixin)

    @property
    def backbone(self) -> str | None:
        """Name of the network of features that was trained elsewhere; none where there is none."""
        return None

    @abstractmethod
    def forward(self, example: DetectorExample) -> Tensor:
        """Return the loss of each item, (B,)."""

    @abstractmethod
    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in scans.

        Args:
            x: Scans, (B, C, *S), in [0, 1].
            mask: Brain masks, (B, 1, *S), in {0, 1}.
        """


class TurnDetector(DetectorNetwork):
    """A detector whose parts learn against each other, such as a generator and a discriminator.

    Each is a child of it, and a step of training moves the weights of one, see ``TakesTurns``; an iteration
    of a paper, which moves each once or more, is as many steps. One optimiser serves all: it passes over
    weights without a gradient.
    """

    @abstractmethod
    def choose_turn(self, step: int, steps: int) -> str:
        """Return the name of the child that step ``step`` of ``steps`` moves."""

    @abstractmethod
    def forward(self, example: DetectorExample, turn: str | None = None) -> Tensor:
        """Return the loss of each item, (B,), for the child whose turn it is; none validates."""

    def _shrink(self, x: Tensor) -> Tensor:
        """Bring scans (B, C, *S) in [0, 1] to the size that is looked at, in [-1, 1].

        Raises:
            ValueError: If they have other axes or channels.
        """
        axes = self.config.get("dims", 2)
        check_input(x, self.config.in_channels, axes, type(self).__name__)
        return to_model(resize(x, [self.config.size] * axes))


class PassDetector(DetectorNetwork):
    """A detector that looks at all training scans once, batch by batch, and then draws its conclusions.

    What it learns is kept in buffers whose shapes follow from its options alone, so that a folder can be
    checked before anything is loaded.
    """

    learns: ClassVar[str] = "pass"

    def forward(self, example: DetectorExample) -> Tensor:
        """Refuse: there is no loss.

        Raises:
            TypeError: Always.
        """
        raise TypeError(f"{type(self).__name__} learns in one pass and has no loss")

    @abstractmethod
    def observe(self, example: DetectorExample) -> None:
        """Look at a batch of healthy training scans."""

    @abstractmethod
    def conclude(self) -> None:
        """Turn what was seen into what ``detect`` needs.

        Raises:
            ValueError: If too little was seen.
        """
