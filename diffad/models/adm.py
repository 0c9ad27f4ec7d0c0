"""The U-Net of guided diffusion (ADM), with an optional class and condition vector beside the time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

from diffad.models.blocks import Blocks, Stage, make_conv, zero_weights
from diffad.models.classes import check_class_count, check_class_labels
from diffad.models.context import ContextStage
from diffad.models.embedding import check_embedding, check_width, embed, make_embedding_layers
from diffad.models.padding import check_input, check_widths, run_padded
from diffad.models.patches import check_patch, fold_patches, unfold_patches
from diffad.models.resampling import check_way
from diffad.registry import MODELS


@MODELS.register("adm")
class ADM(ModelMixin, ConfigMixin):
    r"""Predicts noise, velocity or the image with the U-Net of guided diffusion, in 2-D or 3-D.

    Lengths are halved and doubled inside residual blocks. Every residual block sees
    :math:`e = [e_t + e_y \,|\, e_c]`, the embeddings of time and class, and that of the condition beside
    them. The answer of an untrained network is 0.

    Args:
        in_channels: Channels C of the state, and of conditions that are concatenated to it.
        out_channels: Channels of the answer.
        base: Width that ``mults`` multiplies; :math:`e_t` and :math:`e_c` have 4 base entries each.
        mults: Width at each scale over ``base``, finest first.
        layers: Residual blocks per scale on the way down; there is one more on the way up.
        attention: Downsampling factors with self-attention, such as 8, 16, 32, counted in positions.
        middle: Whether the middle has self-attention.
        heads: Heads of the attention, where ``head_channels`` is 0.
        head_channels: Channels of a head, or 0.
        film: Whether :math:`e` scales and shifts the normalised activations, or is added before.
        embedding: Length of the condition vector c, or 0 for none.
        dims: Spatial axes, 2 or 3.
        patch: Side of the blocks of pixels that are folded into one position.
        groups: Groups of the normalisation; divides every width.
        dropout: Share of activations dropped in training.
        resample: Halve and double lengths in a residual "block", or by a "convolution" of its own.
        classes: Classes, one of which it must be told of each item; 0 for a network without.
        learned_variance: Answer as many channels more, of how wide a move is, where one asks for them; they
            are trained beside the noise, see ``diffad.training.variational``.
        context: Let the middle also look at what the way down finds in the same input when it is told of
            hardly any noise; the way down then runs twice.

    Raises:
        ValueError: If options do not fit each other, an input has other axes or channels than the network,
            or a class or condition vector is missing, surplus or of another kind.

    Reference:
        Diffusion Models Beat GANs on Image Synthesis (Dhariwal and Nichol, 2021), section 3. AnoDDPM
        (Wyatt et al., 2022), pDDPM (Behrendt et al., 2023) and Dif-fuse (Fontanella et al., 2024) use it,
        cDDPM (Behrendt et al., 2025) with a condition, Wolleb et al. (2022) with classes, MCDDPM (Trivedi et
        al., 2024) with ``context``.
    """

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int = 1,
        base: int = 128,
        mults: Sequence[float] = (1, 2, 2),
        layers: int = 3,
        attention: Sequence[int] = (),
        middle: bool = True,
        heads: int = 4,
        head_channels: int = 0,
        film: bool = True,
        embedding: int = 0,
        dims: int = 2,
        patch: int = 1,
        groups: int = 32,
        dropout: float = 0.0,
        resample: str = "block",
        classes: int = 0,
        learned_variance: bool = False,
        context: bool = False,
    ) -> None:
        super().__init__()
        widths = _compute_widths(base, mults, groups)
        _check(layers, attention, dims, len(widths), middle, context)
        check_patch(patch, "ADM")
        check_width(embedding, "ADM")
        check_way(resample, "ADM")
        check_class_count(classes, "ADM")
        self.time = make_embedding_layers(base, 4 * base)
        self.table = nn.Embedding(classes, 4 * base) if classes else None
        self.condition = make_embedding_layers(embedding, 4 * base) if embedding else None
        length = 8 * base if embedding else 4 * base
        blocks = Blocks(dims, length, film, groups, dropout, heads, head_channels, resample)
        attention_flags = [2**level in attention for level in range(len(widths))]
        self.stem = make_conv(dims, in_channels * patch**dims, widths[0])
        self.down, skips = _build_way_down(blocks, widths, layers, attention_flags)
        self.bottom = _build_middle(blocks, widths[-1], middle, context)
        self.up = _build_way_up(blocks, widths, layers, attention_flags, skips)
        self.norm = nn.GroupNorm(groups, widths[0])
        answers = (1 + learned_variance) * out_channels
        self.out = zero_weights(make_conv(dims, widths[0], answers * patch**dims))

    @property
    def multiple(self) -> int:
        """What the sides of an input are padded to."""
        return int(self.config.patch * 2 ** (len(self.config.mults) - 1))

    @property
    def null(self) -> int | None:
        """The label of no class, which it refuses; none of a network without classes."""
        return int(self.config.classes) or None

    @property
    def learns_variance(self) -> bool:
        """Whether it answers how wide a move is, where one asks for it."""
        return bool(self.config.learned_variance)

    def forward(
        self,
        x_t: Tensor,
        labels: Tensor,
        embedding: Tensor | None = None,
        y: Tensor | None = None,
        variance: bool = False,
    ) -> Tensor:
        """Answer for ``x_t`` (B, C, *S) at the diffusers indices ``labels`` (B,).

        Args:
            x_t: State.
            labels: Level less 1.
            embedding: Condition vectors c, (B, embedding), where the network takes them.
            y: Class of each item, 0..K-1, (B,), where the network has classes.
            variance: Answer the channels of the variance, too, after the others, where they were trained.
        """
        check_input(x_t, self.config.in_channels, self.config.dims, "ADM")
        check_embedding(embedding, self.config.embedding, len(x_t), "ADM")
        check_class_labels(y, self.config.classes, len(x_t), "ADM")
        emb = self._compute_embedding(labels, embedding, y)
        first = torch.full_like(labels, CONTEXT_LABEL)
        early = self._compute_embedding(first, embedding, y) if self.config.context else None
        answer = run_padded(lambda x: self._run_unet(x, emb, early), x_t, self.multiple)
        return answer if variance else answer[:, : self.config.out_channels]

    def _compute_embedding(self, labels: Tensor, embedding: Tensor | None, y: Tensor | None) -> Tensor:
        """Return e = [e_t + e_y | e_c], or what there is of it."""
        waves = get_timestep_embedding(labels, self.config.base, flip_sin_to_cos=True, downscale_freq_shift=0)
        time: Tensor = self.time(waves.to(self.dtype))
        if self.table is not None and y is not None:
            time = time + self.table(y.to(time.device))
        vector = embed(self.condition, embedding, self.dtype)
        return time if vector is None else torch.cat([time, vector], dim=1)

    def _run_unet(self, x: Tensor, emb: Tensor, early: Tensor | None) -> Tensor:
        patches = fold_patches(x, self.config.patch).to(self.dtype)
        vectors = (emb,) if early is None else (emb, early)
        return unfold_patches(self.run_core(patches, *vectors), self.config.patch)

    def _run_down(self, x: Tensor, emb: Tensor) -> list[Tensor]:
        """Return what each stage of the way down finds, the deepest last."""
        skips = [self.stem(x)]
        for stage in self.down:
            skips.append(stage(skips[-1], emb))
        return skips

    def run_core(self, x: Tensor, emb: Tensor, early: Tensor | None = None) -> Tensor:
        """Run the U-Net alone, on patches (B, C, *S) and vectors e (B, D); see ``HasCore``.

        With ``context``, ``early`` (B, D) is e of hardly any noise.
        """
        skips = self._run_down(x, emb)
        context = () if early is None else (self._run_down(x, early)[-1],)
        h = self.bottom(skips[-1], emb, *context)
        for stage in self.up:
            h = stage(torch.cat([h, skips.pop()], dim=1), emb)
        answer: Tensor = self.out(F.silu(self.norm(h)))
        return answer


CONTEXT_LABEL = 1
"""The published label at which the way down sees its input for the context."""


def _compute_widths(base: int, mults: Sequence[float], groups: int) -> list[int]:
    widths = [round(base * m) for m in mults]
    if widths != [base * m for m in mults]:
        raise ValueError(f"ADM expected mults that make whole widths of base = {base}, got {list(mults)}")
    check_widths(widths, groups, "ADM")
    return widths


def _check(
    layers: int, attention: Sequence[int], dims: int, scales: int, middle: bool, context: bool
) -> None:
    if dims not in (2, 3):
        raise ValueError(f"ADM expected dims of 2 or 3, got {dims}")
    if layers < 1:
        raise ValueError(f"ADM expected layers of at least 1, got {layers}")
    if context and not middle:
        raise ValueError("ADM expected a middle with attention that looks at a context, got middle = false")
    factors = [2**level for level in range(scales)]
    # A factor that the network never reaches would silently be no attention at all.
    if not set(attention) <= set(factors):
        raise ValueError(f"ADM expected attention at some of the factors {factors}, got {list(attention)}")


def _build_way_down(
    blocks: Blocks, widths: list[int], layers: int, attention_flags: list[bool]
) -> tuple[nn.ModuleList, list[int]]:
    """Return the stages, and the widths of all skips to the way up."""
    stages, skips, last = nn.ModuleList(), widths[:1], len(widths) - 1
    for level, out in enumerate(widths):
        for _ in range(layers):
            attention_blocks = [blocks.make_attention(out)] if attention_flags[level] else []
            stages.append(Stage([blocks.make_residual(skips[-1], out), *attention_blocks]))
            skips.append(out)
        if level < last:
            stages.append(Stage([blocks.make_halving(out)]))
            skips.append(out)
    return stages, skips


def _build_middle(blocks: Blocks, width: int, has_attention: bool, context: bool) -> nn.Module:
    if context:
        return ContextStage(blocks, width)
    attention_blocks = [blocks.make_attention(width)] if has_attention else []
    return Stage([blocks.make_residual(width, width), *attention_blocks, blocks.make_residual(width, width)])


def _build_way_up(
    blocks: Blocks, widths: list[int], layers: int, attention_flags: list[bool], skips: list[int]
) -> nn.ModuleList:
    """Return the stages; each takes the answer of one stage on the way down, the last first."""
    stages, width, skip_widths = nn.ModuleList(), widths[-1], skips[::-1]
    for level in reversed(range(len(widths))):
        out = widths[level]
        for n in range(layers + 1):
            attention_blocks = [blocks.make_attention(out)] if attention_flags[level] else []
            double_blocks = [blocks.make_doubling(out)] if level and n == layers else []
            residual = blocks.make_residual(width + skip_widths[len(stages)], out)
            stages.append(Stage([residual, *attention_blocks, *double_blocks]))
            width = out
    return stages
