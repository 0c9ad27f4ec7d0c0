"""The kinds of corruption that paint into the intensities of an image, by name."""

from __future__ import annotations

from typing import Any

from diffad.data.corruptions.blend import blend
from diffad.data.corruptions.deform import deform
from diffad.data.corruptions.disyre import paint_disyre, paint_foreign
from diffad.data.corruptions.fluid import paint_fluid
from diffad.data.corruptions.intensity import change_intensity
from diffad.data.corruptions.mass import paint_mass
from diffad.data.corruptions.painted import Painted, Shaped
from diffad.data.corruptions.place import Place
from diffad.data.corruptions.reflect import paint_reflect
from diffad.data.corruptions.shape import Bools, Floats, Random
from diffad.data.corruptions.spots import paint_spots
from diffad.data.corruptions.walk import paint_walk
from diffad.registry import CORRUPTIONS

PaintedImage = tuple[Floats, dict[str, Any]]


@CORRUPTIONS.register("blend")
class PatchBlend(Shaped):
    """Blends patches of other images in by their gradients, rotated and scaled."""

    is_blend = True

    def change_place(self, image: Floats, place: Place, rng: Random) -> PaintedImage:
        """Blend a patch into a place."""
        return blend(image, place, self.others, False, rng)


@CORRUPTIONS.register("cross_blend")
class PatchCrossBlend(Shaped):
    """Blends patches of another modality in, or of inverted contrast."""

    is_blend = True

    def change_place(self, image: Floats, place: Place, rng: Random) -> PaintedImage:
        """Blend a patch of another contrast into a place."""
        return blend(image, place, self.foreign or self.others, not self.foreign, rng)


@CORRUPTIONS.register("sink")
class Sink(Shaped):
    """Pulls tissue towards a point."""

    def change_place(self, image: Floats, place: Place, rng: Random) -> PaintedImage:
        """Deform the tissue of a place."""
        return deform(image, place, "sink", rng)


@CORRUPTIONS.register("source")
class Source(Shaped):
    """Pushes tissue away from a point."""

    def change_place(self, image: Floats, place: Place, rng: Random) -> PaintedImage:
        """Deform the tissue of a place."""
        return deform(image, place, "source", rng)


@CORRUPTIONS.register("intensity")
class IntensityShift(Shaped):
    """Shifts intensities by a fractal texture with a soft border."""

    def change_place(self, image: Floats, place: Place, rng: Random) -> PaintedImage:
        """Shift the intensities of a place."""
        return change_intensity(image, place, rng)


@CORRUPTIONS.register("fluid")
class Fluid(Painted):
    """Paints a ragged blob that a flow carried into shape."""

    def paint(self, image: Floats, brain: Bools, rng: Random, strength: float | None) -> PaintedImage:
        """Paint the blob."""
        return paint_fluid(image, brain, rng)


@CORRUPTIONS.register("spots")
class Spots(Painted):
    """Paints several small round lesions."""

    def paint(self, image: Floats, brain: Bools, rng: Random, strength: float | None) -> PaintedImage:
        """Paint the spots."""
        return paint_spots(image, brain, rng)


@CORRUPTIONS.register("mass")
class Mass(Painted):
    """Paints a growth that pushes tissue outwards."""

    def paint(self, image: Floats, brain: Bools, rng: Random, strength: float | None) -> PaintedImage:
        """Paint the growth."""
        return paint_mass(image, brain, rng)


@CORRUPTIONS.register("disyre")
class Disyre(Painted):
    """Mixes in a patch matched in range, and shifts some kinds of tissue, in one soft shape."""

    has_strength = True

    def paint(self, image: Floats, brain: Bools, rng: Random, strength: float | None) -> PaintedImage:
        """Paint patch and bias; the strength is that of both."""
        return paint_disyre(image, brain, self.others, rng, strength)


@CORRUPTIONS.register("foreign")
class Foreign(Painted):
    """Mixes in a patch of another image as it is, with a soft border."""

    has_strength = True

    def paint(self, image: Floats, brain: Bools, rng: Random, strength: float | None) -> PaintedImage:
        """Paint the patch; the strength is its share."""
        return paint_foreign(image, brain, self.others, rng, strength)


@CORRUPTIONS.register("fpi")
class ForeignInterpolated(Painted):
    """Mixes in a patch of another image as it is, at any strength."""

    has_strength = True

    def paint(self, image: Floats, brain: Bools, rng: Random, strength: float | None) -> PaintedImage:
        """Paint the patch; the strength is its share."""
        return paint_foreign(image, brain, self.others, rng, strength, least=0.0)


@CORRUPTIONS.register("reflect")
class Reflect(Painted):
    """Fills ragged blobs with textures or coloured noise without a change of variance."""

    has_strength = True

    def paint(self, image: Floats, brain: Bools, rng: Random, strength: float | None) -> PaintedImage:
        """Paint the blobs; the strength is their weight."""
        return paint_reflect(image, brain, rng, strength)


@CORRUPTIONS.register("walk")
class Walk(Painted):
    """Fills ragged polygons along random walks with a texture or coloured noise."""

    def paint(self, image: Floats, brain: Bools, rng: Random, strength: float | None) -> PaintedImage:
        """Paint the polygons."""
        return paint_walk(image, brain, rng)
