"""Streams of features, one for each sequence, that join in another at chosen sites of a U-Net."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffad.detectors.compare import MODES
from diffad.detectors.dense import CONVOLUTION, NORM
from diffad.detectors.fusion import FUSIONS

SITES = ("early", "middle", "late")
"""After the first block, at all scales of the encoder, and after the last block of the decoder."""
JOINT = "joint"
POOL = {2: F.max_pool2d, 3: F.max_pool3d}


class StreamEncoder(nn.Module):
    """Halves the features of the finest scale step by step.

    Args:
        channels: Width at each scale, finest first.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, channels: Sequence[int], dims: int) -> None:
        super().__init__()
        self.dims = dims
        self.down = nn.ModuleList(_make_pair(a, b, dims) for a, b in pairwise(channels))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of each scale for those of the finest, (B, C, *S)."""
        features = [x]
        for down in self.down:
            features.append(down(POOL[self.dims](features[-1], 2)))
        return features


class StreamDecoder(nn.Module):
    """Enlarges the features of the coarsest scale, and joins those of each scale on the way.

    Args:
        channels: Width at each scale, finest first.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, channels: Sequence[int], dims: int) -> None:
        super().__init__()
        self.mode = MODES[dims]
        self.up = nn.ModuleList(_make_pair(a + b, a, dims) for a, b in reversed(list(pairwise(channels))))

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return features of the finest scale, (B, C, *S), for those of all scales."""
        x = features[-1]
        for up, skip in zip(self.up, features[-2::-1], strict=True):
            x = F.interpolate(x, skip.shape[2:], mode=self.mode, align_corners=False)
            x = up(torch.cat([x, skip], 1))
        return x


class ScaleFusion(nn.Module):
    """Joins streams at each scale by itself.

    Args:
        count: Streams.
        channels: Width at each scale, finest first.
        fusion: How they join, of ``FUSIONS``.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(self, count: int, channels: Sequence[int], fusion: str, dims: int) -> None:
        super().__init__()
        self.scales = nn.ModuleList(FUSIONS[fusion](count, width, dims) for width in channels)

    def forward(self, streams: Sequence[list[Tensor]]) -> list[Tensor]:
        """Return the joint features of each scale."""
        return [fuse(fields) for fuse, fields in zip(self.scales, zip(*streams, strict=True), strict=True)]


class FusedStreams(nn.Module):
    """A U-Net of streams: those of the sequences end at the last site, and the joint one begins at the first.

    At each site the joint stream takes in all streams of sequences, and itself where it had begun. So "early"
    alone is one U-Net behind as many first blocks as sequences, "middle" one decoder behind as many encoders,
    and "late" as many U-Nets. With several sites, what was joined before is one more stream to join.

    Args:
        count: Sequences.
        channels: Width at each scale, finest first.
        sites: Where streams join, of ``SITES``.
        fusion: How they join, of ``FUSIONS``.
        dims: Spatial axes, 2 or 3.
    """

    def __init__(
        self, count: int, channels: Sequence[int], sites: Sequence[str], fusion: str, dims: int
    ) -> None:
        super().__init__()
        self.sequences = [f"sequence_{i}" for i in range(count)]
        self.last = max(sites, key=SITES.index)
        self.enter = nn.ModuleDict({name: _make_pair(1, channels[0], dims) for name in self.sequences})
        encoding, decoding = self._list_streams(sites, 1), self._list_streams(sites, 2)
        self.encoders = nn.ModuleDict({name: StreamEncoder(channels, dims) for name in encoding})
        self.decoders = nn.ModuleDict({name: StreamDecoder(channels, dims) for name in decoding})
        self.fusions = nn.ModuleDict()
        for site, streams in zip(SITES, (self.sequences, encoding, decoding), strict=True):
            if site in sites:
                widths = channels if site == "middle" else channels[:1]
                self.fusions[site] = ScaleFusion(len(streams), widths, fusion, dims)

    def forward(self, x: Tensor) -> Tensor:
        """Return the joint features of the finest scale, (B, C, *S), of scans (B, N, *S)."""
        streams = {
            name: [self.enter[name](part)]
            for name, part in zip(self.sequences, torch.split(x, 1, 1), strict=True)
        }
        streams = self._join("early", streams)
        streams = self._join("middle", {name: self.encoders[name](v[0]) for name, v in streams.items()})
        streams = self._join("late", {name: [self.decoders[name](v)] for name, v in streams.items()})
        return streams[JOINT][0]

    def _list_streams(self, sites: Sequence[str], passed: int) -> list[str]:
        """Name the streams that run once as many sites are behind them."""
        has_joint = any(site in sites for site in SITES[:passed])
        has_sequences = any(site in sites for site in SITES[passed:])
        return [*(self.sequences if has_sequences else ()), *([JOINT] if has_joint else ())]

    def _join(self, site: str, streams: dict[str, list[Tensor]]) -> dict[str, list[Tensor]]:
        if site not in self.fusions:
            return streams
        going = {} if site == self.last else {name: streams[name] for name in self.sequences}
        return {**going, JOINT: self.fusions[site](list(streams.values()))}


def _make_pair(inputs: int, outputs: int, dims: int) -> nn.Sequential:
    pairs = ((inputs, outputs), (outputs, outputs))
    units = ((CONVOLUTION[dims](a, b, 3, padding=1, bias=False), NORM[dims](b), nn.ReLU()) for a, b in pairs)
    return nn.Sequential(*(layer for unit in units for layer in unit))
