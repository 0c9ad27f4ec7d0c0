"""Features of a set of images, from a network trained on photographs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from einops import reduce
from numpy.typing import ArrayLike, NDArray

from diffad.evaluation.normative.perception import split_pictures, to_rgb
from diffad.score.sources import locate_weights
from diffad.score.weights import load_trunk


def alexnet_features(images: ArrayLike | Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Return the mean over space of the last convolutions of AlexNet.

    Args:
        images: Images, (N, *S), in [0, 1]; volumes count slice by slice along the last axis.

    Returns:
        Features, (N, 256).

    Raises:
        ValueError: If the weights are not on this machine; it says what to install.

    Reference:
        One weird trick for parallelizing convolutional neural networks (Krizhevsky, 2014).
    """
    network, _ = load_trunk("alex", locate_weights("alex"))
    rows = []
    for image in np.asarray(images):
        # one picture at a time, since convolutions round otherwise in a batch
        layers = [network(to_rgb(picture[None]))[-1] for picture in split_pictures(image)]
        rows.append(np.mean([reduce(y, "1 c i j -> c", "mean").double().numpy() for y in layers], axis=0))
    return np.stack(rows)
