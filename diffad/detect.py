"""From scans in memory to maps: the part of a pipeline that knows no files and no names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from diffad.data.intensity import IntensityWindow
from diffad.data.space import Placement, Space, to_model, to_public
from diffad.data.volume import VolumeError
from diffad.data.window import Corner, corner, cut, holds, paste
from diffad.denoise import bind
from diffad.postprocess import Postprocess
from diffad.protocols import AnomalyScore, Denoiser, NoiseGenerator, Sampler
from diffad.score.base import begin, listens
from diffad.types import generator_for


@dataclass(frozen=True)
class Stack:
    """The slices of one scan, or one whole volume, as it came.

    Args:
        image: Raw intensities, (N, C, *S).
        brain: Brain mask, (N, 1, *S), bool.
        keys: What the noise of each of the N follows from, next to the seed.
        spacing: Pixel size (row, column) in mm, where known.
        centre: Position (row, column) that goes to the grid's centre.
        window: Intensity window of the whole scan; none finds it in these slices.
        name: What errors call the scan.
    """

    image: Tensor
    brain: Tensor
    keys: Sequence[int]
    spacing: tuple[float, float] | None = None
    centre: tuple[float, float] | None = None
    window: IntensityWindow | None = None
    name: str = "the scan"


@dataclass(frozen=True)
class Found:
    """What was found in one stack, on its own grid.

    Args:
        anomaly: Anomaly map, (N, 1, *S), 0 outside the brain.
        twin: Pseudo-healthy twin in the scan's intensities, (N, C, *S); the scan itself outside the brain.
        nfe: Network evaluations per slice.
        std: Standard deviation of several twins in the scan's intensities, (N, C, *S); none of a single one.
    """

    anomaly: Tensor
    twin: Tensor
    nfe: int
    std: Tensor | None = None


@dataclass
class Maps:
    """What was found in images that are in the network's space.

    Args:
        anomaly: Anomaly maps, (N, 1, *S).
        twin: Twins in [0, 1], (N, C, *S).
        nfe: Network evaluations per image.
        std: Standard deviation of several twins, (N, C, *S); none where one was made.
    """

    anomaly: Tensor
    twin: Tensor
    nfe: int = 0
    std: Tensor | None = None

    def put(self, items: Sequence[int], part: Maps) -> None:
        """Take in what was found in some of the images."""
        self.anomaly[items], self.twin[items] = part.anomaly, part.twin
        self.nfe = max(self.nfe, part.nfe)
        if part.std is not None:
            self.std = torch.zeros_like(self.twin) if self.std is None else self.std
            self.std[items] = part.std

    def pasted(self, shape: Sequence[int], corners: Sequence[Corner]) -> Maps:
        """Lay the maps of windows on empty grids."""
        anomaly, twin = (paste(v, shape, corners) for v in (self.anomaly, self.twin))
        std = None if self.std is None else paste(self.std, shape, corners)
        return Maps(anomaly, twin, self.nfe, std)

    def split(self, x: Tensor, counts: list[int]) -> list[tuple[Tensor, Tensor, Tensor | None]]:
        """Part map, change of the image and standard deviation by scan."""
        rest = zip(torch.split(self.anomaly, counts), torch.split(self.twin - x, counts), strict=True)
        stds = [None] * len(counts) if self.std is None else list(torch.split(self.std, counts))
        return [(a, d, std) for (a, d), std in zip(rest, stds, strict=True)]


@dataclass(frozen=True)
class Detector:
    """Rebuilds scans and scores the difference; every part of a method, put together.

    Args:
        denoiser: Guided denoiser.
        noise: Noise generator.
        sampler: Sampler.
        score: Anomaly score.
        post: Post-processing.
        space: The network's space.
        seed: Seed of all noise.
        batch_size: Slices per network evaluation.
        device: Where the network lives.
        autocast: Narrow type the network runs in, or none.
        progress: Called with the number of slices just finished.
    """

    denoiser: Denoiser
    noise: NoiseGenerator
    sampler: Sampler
    score: AnomalyScore
    post: Postprocess
    space: Space
    seed: int = 0
    batch_size: int = 8
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    autocast: torch.dtype | None = None
    progress: Callable[[int], Any] = lambda done: None

    def __call__(self, stacks: Sequence[Stack]) -> list[Found]:
        """Find anomalies in scans; slices of different scans share batches."""
        placed = [self._place(stack) for stack in stacks]
        keys = [key for stack in stacks for key in stack.keys]
        x, brain = torch.cat([p[0] for p in placed]), torch.cat([p[1] for p in placed])
        found = self.maps(x, brain, keys, torch.cat([self.told(place[0]) for place in placed]))
        parts = zip(stacks, placed, found.split(x, [len(s.image) for s in stacks]), strict=True)
        return [self._lay_back(stack, place[2], part, found.nfe) for stack, place, part in parts]

    def _place(self, stack: Stack) -> tuple[Tensor, Tensor, Placement]:
        try:
            return self.space.place(stack.image, stack.brain, stack.spacing, stack.centre, stack.window)
        except ValueError as error:  # parts below know no names
            raise VolumeError(f"{stack.name}: {error}") from error

    def maps(self, x: Tensor, brain: Tensor, keys: Sequence[int], told: Tensor | None = None) -> Maps:
        """Score images that are in the network's space already.

        Args:
            x: Images in [0, 1], (N, C, *S).
            brain: Brain masks, (N, 1, *S).
            keys: What the noise of each image follows from, next to the seed.
            told: Images the denoiser is told of, (N, C, *S); none takes those of ``told``, all as one scan.
        """
        maps = Maps(torch.zeros_like(x[:, :1]), torch.zeros_like(x))
        told = self.told(x) if told is None else told
        for items, corners in self._groups(brain):
            for start in range(0, len(items), self.batch_size):
                part = items[start : start + self.batch_size]
                at = corners[start : start + self.batch_size]
                images = (x[part], brain[part], told[part])
                maps.put(part, self._focused(*images, [keys[i] for i in part], at))
                self.progress(len(part))
        return maps

    def _groups(self, brain: Tensor) -> list[tuple[list[int], list[Corner]]]:
        """Part the images into those whose brain the window holds, with its corners, and the rest."""
        window = self.space.config.window
        if window is None:
            return [(list(range(len(brain))), [])]
        corners = [corner(item, window) for item in brain]
        held = [holds(item, window, at) for item, at in zip(brain, corners, strict=True)]
        inside = [i for i, fits in enumerate(held) if fits]
        return [(inside, [corners[i] for i in inside]), ([i for i, fits in enumerate(held) if not fits], [])]

    def told(self, x: Tensor) -> Tensor:
        """Return what the denoiser is told of slices ``x`` of one scan: them, or what its guidance wants."""
        swap = getattr(self.denoiser, "reference", None)
        return x if swap is None else swap(x)

    def _focused(
        self, x: Tensor, brain: Tensor, told: Tensor, keys: Sequence[int], corners: Sequence[Corner]
    ) -> Maps:
        """Score a batch in the window at ``corners``, or whole where there are none."""
        window = self.space.config.window
        if window is None or not corners:
            return self._batch(x, brain, told, keys)
        seen, inside, known = (cut(v, window, corners) for v in (x, brain, told))
        return self._batch(seen, inside, known, keys).pasted(x.shape[2:], corners)

    def _batch(self, x: Tensor, brain: Tensor, told: Tensor, keys: Sequence[int]) -> Maps:
        x, brain, told = (v.to(self.device) for v in (x, brain, told))
        generators = [generator_for(self.seed, key) for key in keys]
        run = begin(self.score, to_model(x), self.denoiser.schedule)
        narrow = torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None)
        with torch.no_grad(), narrow:
            denoiser = self._knowing(told, brain)
            steps: dict[str, Any] = {"mask": brain, "on_step": run.record if listens(run) else None}
            found = self.sampler(to_model(x), denoiser, self.noise, generator=generators, **steps)
        twin = to_public(found.image.float()) * brain
        std = None if found.std is None else found.std.float() / 2 * brain  # in units of [0, 1]
        raw = run.map(x, replace(found, image=twin, std=std), brain)
        spread = None if std is None else std.cpu()
        return Maps(self.post.smooth(raw, brain).cpu(), twin.cpu(), found.nfe, spread)

    def _knowing(self, told: Tensor, brain: Tensor) -> Denoiser:
        """Bind what the denoiser must know of this batch, found once for all levels."""
        ask = getattr(self.denoiser, "conditions", None)
        return self.denoiser if ask is None else bind(self.denoiser, ask(told, brain))

    def _lay_back(
        self,
        stack: Stack,
        placement: Placement,
        part: tuple[Tensor, Tensor, Tensor | None],
        nfe: int,
    ) -> Found:
        """Bring map and change to the scan's grid; the scan keeps its detail under the change."""
        anomaly, change, std = part
        anomaly = self.space.back(anomaly, placement) * stack.brain
        bounds = zip(placement.window.lower, placement.window.upper, strict=True)
        scale = change.new_tensor([high - low for low, high in bounds]).reshape(-1, *[1] * (change.ndim - 2))
        twin = stack.image + self.space.back(change * scale, placement) * stack.brain
        spread = None if std is None else self.space.back(std * scale, placement) * stack.brain
        return Found(anomaly, twin, nfe, spread)
