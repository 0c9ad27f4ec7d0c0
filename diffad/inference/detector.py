"""From scans in memory to maps: the part of a pipeline that knows no files and no names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from diffad.capabilities import begin_run, count_evaluations, restrict_to_region, wants_records
from diffad.data.place import tabulate_places
from diffad.data.space import Placement, Space, to_model
from diffad.data.volume import VolumeError
from diffad.data.window import Corner, Window, crop_windows, group_by_window, place_window, window_holds
from diffad.denoise import as_denoiser, bind
from diffad.inference.postprocess import Postprocess
from diffad.inference.stack import BatchResult as BatchResult
from diffad.inference.stack import Stack as Stack
from diffad.inference.stack import StackResult as StackResult
from diffad.inference.stack import to_public_range
from diffad.models.coding import PIXELS, Coding
from diffad.models.memory import Memory, is_out_of_memory
from diffad.protocols import AnomalyScore, Denoiser, NoiseGenerator, Sampler
from diffad.samplers.coded import CodedSampler
from diffad.types import generator_for

BESIDE = 1
"""What the noise of the neighbours of a slice follows from, next to the seed and its position."""


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
        memory: What is known of the memory of the device.
        networks: What moves to the CPU where the device does not hold a single slice.
        coding: What the denoiser sees in the place of images.
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
    progress: Callable[[int], Any] = lambda count: None
    memory: Memory = field(default_factory=Memory)
    networks: Sequence[Any] = ()
    coding: Coding = PIXELS

    def __post_init__(self) -> None:
        object.__setattr__(self, "denoiser", as_denoiser(self.denoiser))

    def __call__(self, stacks: Sequence[Stack]) -> list[StackResult]:
        """Find anomalies in scans; slices of different scans share batches."""
        places = [self._place(stack) for stack in stacks]
        keys = [key for stack in stacks for key in stack.noise_keys or stack.keys]
        x, brain = torch.cat([p[0] for p in places]), torch.cat([p[1] for p in places])
        cond_image = torch.cat([self.cond_image(place[0]) for place in places])
        counts = [len(stack.image) for stack in stacks]
        where = tabulate_places([place for stack in stacks for place in stack.list_places()])
        rest = (self._regions(stacks), counts, where, self._place_neighbours(stacks, places))
        result = self.maps(x, brain, keys, cond_image, *rest)
        parts = zip(stacks, places, result.split(x, counts), strict=True)
        return [self._lay_back(stack, place[2], part, result.nfe) for stack, place, part in parts]

    def _place(self, stack: Stack) -> tuple[Tensor, Tensor, Placement]:
        try:
            return self.space.place(stack.image, stack.brain, stack.spacing, stack.centre, stack.window)
        except ValueError as error:  # parts below know no names
            raise VolumeError(f"{stack.name}: {error}") from error

    def _place_neighbours(
        self, stacks: Sequence[Stack], places: Sequence[tuple[Tensor, Tensor, Placement]]
    ) -> Tensor:
        pairs = zip(stacks, places, strict=True)
        return torch.cat([self.space.place_neighbours(x, b, s.neighbours, p) for s, (x, b, p) in pairs])

    def _regions(self, stacks: Sequence[Stack]) -> Tensor | None:
        regions = [s.region for s in stacks if s.region is not None]
        if not regions:
            return None
        if len(regions) < len(stacks):
            raise ValueError("expected a region for every scan of a batch, or for none")
        if self.space.whole:
            return torch.cat(regions).float()
        pairs = zip(regions, stacks, strict=True)
        to = self.space.grid.to
        return torch.cat([to(r.float(), spacing=s.spacing, centre=s.centre) for r, s in pairs]).clamp(0, 1)

    def maps(
        self,
        x: Tensor,
        brain: Tensor,
        keys: Sequence[int],
        cond_image: Tensor | None = None,
        region: Tensor | None = None,
        counts: Sequence[int] | None = None,
        where: Tensor | None = None,
        neighbours: Tensor | None = None,
    ) -> BatchResult:
        """Score images that are in the network's space already.

        Args:
            x: Images in [0, 1], (N, C, *S).
            brain: Brain masks, (N, 1, *S).
            keys: What the noise of each image follows from, next to the seed.
            cond_image: Images the denoiser is conditioned on, (N, C, *S); none takes those of the method
                ``cond_image``, all as one scan.
            region: Where the reconstructions may differ, (N, 1, *S), in [0, 1]; none leaves it to
                the sampler.
            counts: Number of slices of each scan, one after the other, for what is smoothed across slices;
                none makes each image a scan of its own.
            where: Orientation and position of each slice in the brain, (N, 2); none where unknown.
            neighbours: Slices below and above each, (N, 2 N' C, *S), in [0, 1], for a network that is shown
                them.

        Raises:
            ValueError: If there is a region, and the sampler takes none, or neighbours are missing.
        """
        result = BatchResult(torch.zeros_like(x[:, :1]), torch.zeros_like(x))
        cond_image = self.cond_image(x) if cond_image is None else cond_image
        where = tabulate_places([None] * len(x)) if where is None else where
        neighbours = x[:, :0] if neighbours is None else neighbours
        for window, items, corners in self._groups(brain, where):
            start = 0
            while start < len(items):
                part = slice(start, start + self.memory.bound(self.batch_size))
                batch, places = items[part], corners[part]
                edits = None if region is None else region[batch]
                images = (x[batch], brain[batch], cond_image[batch], neighbours[batch], edits, where[batch])
                scores = self._try_batch(*images, [keys[i] for i in batch], window, places)
                if scores is None:
                    continue
                result.put(batch, scores)
                self.progress(len(batch))
                start += len(batch)
        if self._joins_slices:
            result.anomaly = self._smooth_scans(result.anomaly, brain, counts or [1] * len(x))
        return result

    @property
    def _joins_slices(self) -> bool:
        return self.post.joins_slices and not self.space.whole

    def _smooth_scans(self, raw: Tensor, brain: Tensor, counts: Sequence[int]) -> Tensor:
        scans = zip(torch.split(raw, list(counts)), torch.split(brain, list(counts)), strict=True)
        return torch.cat([self.post.smooth_stack(maps, mask) for maps, mask in scans])

    def _groups(self, brain: Tensor, where: Tensor) -> list[tuple[Window | None, list[int], list[Corner]]]:
        """Part the images into those whose brain a window holds, with its corners, and the rest."""
        groups: list[tuple[Window | None, list[int], list[Corner]]] = []
        for window, items in group_by_window(where, self.space.config):
            if window is None:
                groups.append((None, items, []))
                continue
            corners = {i: place_window(brain[i], window) for i in items}
            fits = [i for i in items if window_holds(brain[i], window, corners[i])]
            groups.append((window, fits, [corners[i] for i in fits]))
            groups.append((None, [i for i in items if i not in set(fits)], []))
        return groups

    def _try_batch(self, x: Tensor, *rest: Any) -> BatchResult | None:
        """Score a batch; none where it does not fit into memory, and a smaller one is to be tried."""
        detector = self._move_to_cpu() if self.memory.left_device else self
        try:
            return detector._score_windows(x, *rest)
        except Exception as error:
            if not is_out_of_memory(error) or (len(x) == 1 and detector.device.type == "cpu"):
                raise
        self.memory.give_way(len(x), detector.device)
        return None

    def _move_to_cpu(self) -> Detector:
        if self.device.type == "cpu":
            return self
        for network in self.networks:
            network.to("cpu")
        return replace(self, device=torch.device("cpu"))

    def cond_image(self, x: Tensor) -> Tensor:
        """Return what the denoiser is conditioned on for slices ``x`` of one scan, (N, C, *S).

        That is the slices themselves, or what its guidance puts in their place.
        """
        return self.denoiser.reference(x)

    def _score_windows(
        self,
        x: Tensor,
        brain: Tensor,
        cond_image: Tensor,
        neighbours: Tensor,
        region: Tensor | None,
        where: Tensor,
        keys: Sequence[int],
        window: Window | None,
        corners: Sequence[Corner],
    ) -> BatchResult:
        """Score a batch in the window at ``corners``, or whole where there is none."""
        if window is None:
            return self._score_batch(x, brain, cond_image, neighbours, region, where, keys)
        images = (crop_windows(values, window, corners) for values in (x, brain, cond_image, neighbours))
        image, mask, cond, others = images
        edits = None if region is None else crop_windows(region, window, corners)
        return self._score_batch(image, mask, cond, others, edits, where, keys).paste(x.shape[2:], corners)

    def _score_batch(
        self,
        x: Tensor,
        brain: Tensor,
        cond_image: Tensor,
        neighbours: Tensor,
        region: Tensor | None,
        where: Tensor,
        keys: Sequence[int],
    ) -> BatchResult:
        values = (v.to(self.device) for v in (x, brain, cond_image, neighbours, where))
        x, brain, cond_image, neighbours, where = values
        generators = [generator_for(self.seed, key) for key in keys]
        run = begin_run(self.score, to_model(x), self.denoiser.schedule)
        narrow = torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None)
        with torch.no_grad(), narrow:
            noisy = self._noise_neighbours(neighbours, keys)
            coding = self.coding.for_batch()
            denoiser = self._bind_conditions(coding, cond_image, brain, where, noisy)
            steps: dict[str, Any] = {"mask": brain, "on_step": run.record if wants_records(run) else None}
            sampler = self._restrict_sampler(coding, region)
            output = sampler(to_model(x), denoiser, self.noise, generator=generators, **steps)
        public = to_public_range(output, brain)
        raw = run.map(x, public, brain)
        spread = None if public.std is None else public.std.cpu()
        anomaly = raw if self._joins_slices else self.post.smooth(raw, brain)
        nfe = output.nfe + count_evaluations(self.score)
        return BatchResult(anomaly.cpu(), public.image.cpu(), nfe, spread)

    def _restrict_sampler(self, coding: Coding, region: Tensor | None) -> Sampler:
        region = None if region is None else region.to(self.device)
        if coding.is_coded:
            return CodedSampler(self.sampler, coding, region)
        if region is None:
            return self.sampler
        return restrict_to_region(self.sampler, region)

    def _bind_conditions(
        self,
        coding: Coding,
        cond_image: Tensor,
        brain: Tensor,
        where: Tensor,
        noisy: dict[str, Tensor],
    ) -> Denoiser:
        """Bind what the denoiser must know of this batch, computed once for all levels."""
        place = {"place": where} if self.denoiser.takes_place else {}
        cond = self.denoiser.conditions(coding.condition(cond_image), coding.shrink(brain))
        return bind(self.denoiser, {**cond, **place, **noisy})

    def _noise_neighbours(self, neighbours: Tensor, keys: Sequence[int]) -> dict[str, Tensor]:
        """Return neighbours (B, 2 N C, *S) in the range of the model, and the noise that is laid over them.

        What they show of an anomaly is then as noisy as the slice itself; clean, it could be copied.
        """
        if not self.denoiser.takes_neighbours:
            return {}
        generators = [generator_for(self.seed, key, BESIDE) for key in keys]
        clean = to_model(neighbours)
        return {"neighbours": clean, "neighbour_noise": self.noise(clean, generator=generators)}

    def _lay_back(
        self,
        stack: Stack,
        placement: Placement,
        part: tuple[Tensor, Tensor, Tensor | None],
        nfe: int,
    ) -> StackResult:
        """Bring map and change to the scan's grid; the scan keeps its detail under the change."""
        anomaly, change, std = part
        anomaly = self.space.back(anomaly, placement) * stack.brain
        bounds = zip(placement.window.lower, placement.window.upper, strict=True)
        scale = change.new_tensor([high - low for low, high in bounds]).reshape(-1, *[1] * (change.ndim - 2))
        reconstruction = stack.image + self.space.back(change * scale, placement) * stack.brain
        spread = None if std is None else self.space.back(std * scale, placement) * stack.brain
        return StackResult(anomaly, reconstruction, nfe, spread)
