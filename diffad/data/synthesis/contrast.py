r"""What tissues look like: priors for the contrasts of MR, for CT, and for no contrast that exists.

T1-weighted means and deviations are those that SynthSeg ships, left and right merged. T2, FLAIR and PD
follow from tissue physics: each scan draws its field strength and timing, and the spin echo equations with
inversion time TI do the rest,

.. math:: S = \rho \, |1 - 2 e^{-TI/T_1} + e^{-TR/T_1}| \, e^{-TE/T_2}
          \quad \text{(without TI: } \rho (1 - e^{-TR/T_1}) e^{-TE/T_2} \text{)}

The T2 of fluid is what fast spin echoes show of it, shorter than at rest. CT means are Hounsfield units of
unenhanced scans. Relaxation times are round numbers from the literature.

Reference:
    SynthSeg (Billot et al., 2023), its prior of T1 scans; T1, T2 relaxation and magnetization transfer in
    tissue at 3T (Stanisz et al., 2005); BrainWeb (Collins et al., 1998), proton densities.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from diffad.data.synthesis.tissues import TISSUES

# tissue: proton density, T1 at 1.5 T and 3 T, T2 at 1.5 T and 3 T (ms), T1w mean and deviation (0 to 255), HU
_ROWS: Mapping[str, tuple[float, ...]] = MappingProxyType(
    {
        "background": (0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0),
        "csf": (1.0, 4000, 4200, 1000, 800, 44.4, 11.2, 8.0),
        "ventricle": (1.0, 4000, 4200, 1000, 800, 44.4, 11.2, 7.0),
        "choroid": (0.9, 1500, 1900, 180, 160, 59.6, 16.0, 34.0),
        "cortex": (0.82, 1050, 1350, 96, 88, 96.3, 12.2, 38.5),
        "white": (0.70, 650, 850, 78, 72, 160.3, 21.7, 29.5),
        "cerebellum": (0.83, 1080, 1380, 98, 90, 88.2, 10.6, 37.0),
        "cerebellar-white": (0.72, 700, 910, 82, 76, 136.0, 13.4, 31.0),
        "thalamus": (0.78, 850, 1090, 86, 79, 129.5, 17.7, 36.0),
        "caudate": (0.80, 980, 1250, 90, 82, 102.0, 13.0, 38.0),
        "putamen": (0.79, 920, 1170, 84, 74, 124.1, 15.7, 38.0),
        "pallidum": (0.74, 750, 960, 68, 58, 151.8, 19.5, 38.0),
        "hippocampus": (0.82, 1080, 1390, 99, 91, 96.3, 12.2, 36.5),
        "ventral-dc": (0.75, 780, 1000, 78, 68, 142.5, 16.1, 33.0),
        "brain-stem": (0.75, 800, 1030, 84, 77, 129.8, 12.2, 31.0),
        "vessel": (0.90, 1350, 1650, 60, 50, 86.8, 25.0, 48.0),
    }
)
_VALUES = torch.tensor([_ROWS[name] for name in TISSUES])
_FLUIDS = [TISSUES.index("csf"), TISSUES.index("ventricle")]

CARD_MAX = 255.0
"""White of the scale on which T1-weighted means are given."""


@dataclass(frozen=True)
class Palette:
    """Intensities of the tissues in one scan.

    Args:
        means: Mean of each tissue, (K,), at most about 1, or Hounsfield units.
        deviations: Standard deviation inside each tissue, (K,).
        ct: Whether intensities are Hounsfield units.
    """

    means: Tensor
    deviations: Tensor
    ct: bool = False


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _draw_t1(generator: torch.Generator, spread: float = 1.0) -> Palette:
    means = _VALUES[:, 5] + spread * _VALUES[:, 6] * torch.randn(len(TISSUES), generator=generator)
    return _finish(_share_fluid(means.clamp(min=4.0), 2.0 / CARD_MAX, generator), generator)


def _draw_wide_t1(generator: torch.Generator) -> Palette:
    return _draw_t1(generator, 2.0)


def _draw_t2(generator: torch.Generator) -> Palette:
    echo = {"tr": _uniform(2500, 7000, generator), "te": _uniform(60, 115, generator)}
    return _draw_echo(echo, generator)


def _draw_pd(generator: torch.Generator) -> Palette:
    echo = {"tr": _uniform(2000, 5000, generator), "te": _uniform(10, 35, generator)}
    return _draw_echo(echo, generator)


def _draw_flair(generator: torch.Generator) -> Palette:
    tr = _uniform(6000, 11000, generator)
    # the inversion time that nulls fluid, and a little beside it
    fluid = torch.tensor(4100.0)
    null = fluid * (torch.log(torch.tensor(2.0)) - torch.log1p(torch.exp(-tr / fluid)))
    ti = float(null) * _uniform(0.93, 1.08, generator)
    return _draw_echo({"tr": tr, "te": _uniform(85, 145, generator), "ti": ti}, generator)


def _draw_echo(echo: Mapping[str, float], generator: torch.Generator) -> Palette:
    """Paint by the spin echo equation at a field strength between 1.5 T and 3 T, each tissue a bit off."""
    field = float(torch.rand((), generator=generator))
    wobble = 1 + 0.03 * torch.randn((3, len(TISSUES)), generator=generator).clamp(-2.5, 2.5)
    density = _VALUES[:, 0] * wobble[0]
    t1 = torch.lerp(_VALUES[:, 1], _VALUES[:, 2], field) * wobble[1]
    t2 = torch.lerp(_VALUES[:, 3], _VALUES[:, 4], field) * wobble[2]
    recovery = torch.exp(-echo["tr"] / t1)
    inversion = 2 * torch.exp(-echo["ti"] / t1) if "ti" in echo else 2 * recovery
    magnetisation = (1 - inversion + recovery).abs()
    return _finish(
        _share_fluid(density * magnetisation * torch.exp(-echo["te"] / t2), 0.0, generator), generator
    )


def _share_fluid(means: Tensor, jitter: float, generator: torch.Generator) -> Tensor:
    """Make the fluid in and around the brain nearly alike, as it is one."""
    means = means.clone()
    means[_FLUIDS] = means[_FLUIDS[0]] * (1 + 0.08 * torch.randn(2, generator=generator).clamp(-2, 2))
    return means


def _draw_random(generator: torch.Generator) -> Palette:
    means = torch.rand(len(TISSUES), generator=generator)
    if (
        float(torch.rand((), generator=generator)) < 0.5
    ):  # nuclei between grey and white, as in most contrasts
        grey, white = means[TISSUES.index("cortex")], means[TISSUES.index("white")]
        shares = torch.rand(len(TISSUES), generator=generator) * 1.2 - 0.1
        inner = slice(TISSUES.index("cerebellum"), TISSUES.index("vessel"))
        means[inner] = (grey + shares[inner] * (white - grey)).clamp(0, 1)
    means[_FLUIDS[1]] = means[_FLUIDS[0]] + 0.05 * torch.randn((), generator=generator)
    return _finish(means.clamp(0.01, 1), generator)


def _draw_ct(generator: torch.Generator) -> Palette:
    shift, scale = _uniform(-2, 2, generator), _uniform(0.85, 1.15, generator)
    means = _VALUES[:, 7] * scale + shift + 0.8 * torch.randn(len(TISSUES), generator=generator).clamp(-2, 2)
    deviations = torch.full_like(means, _uniform(0.5, 1.5, generator))
    means[0] = deviations[0] = 0
    return Palette(means, deviations, ct=True)


def _finish(means: Tensor, generator: torch.Generator) -> Palette:
    """Scale means so that the brightest tissue of the brain is 1, and add deviations."""
    means = means / means[1:-1].max()
    means[0] = 0
    share = 0.015 + 0.045 * torch.rand(len(TISSUES), generator=generator)
    deviations = share * means.clamp(min=0.15)
    deviations[0] = 0
    return Palette(means, deviations)


CONTRASTS: Mapping[str, Callable[[torch.Generator], Palette]] = MappingProxyType(
    {
        "t1": _draw_t1,
        "t1-like": _draw_wide_t1,
        "t2": _draw_t2,
        "flair": _draw_flair,
        "pd": _draw_pd,
        "ct": _draw_ct,
        "random": _draw_random,
    }
)
"""The contrasts by name; "t1-like" is twice as wide as "t1", "random" gives each tissue any value."""


def draw_palette(weights: Mapping[str, float], generator: torch.Generator) -> Palette:
    """Draw a contrast by its weight, and the intensities of the tissues in it."""
    names = list(weights)
    choice = torch.multinomial(torch.tensor([weights[n] for n in names]), 1, generator=generator)
    return CONTRASTS[names[int(choice)]](generator)
