"""A tiny Stable Diffusion, in memory and as a folder, and a tiny model of classes, with scans for them."""

import numpy as np
import pytest
import torch
from PIL import Image

from diffad.registry import MODELS
from tests.helpers.cohorts import brain, inside, write

BACKBONE = {"name": "unet2d", "channels": (8, 16), "layers": 1, "attention": False}


@pytest.fixture(scope="package")
def stable(tmp_path_factory):
    pytest.importorskip("transformers")
    from tests.helpers.stable import make_stable_model

    return make_stable_model(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="package")
def stable_folder(tmp_path_factory):
    pytest.importorskip("transformers")
    from tests.helpers.stable import write_stable_folder

    return write_stable_folder(tmp_path_factory.mktemp("stable") / "sd")


def make_pipe(network, **settings):
    from diffusers import DDPMScheduler

    from diffad.pipeline import AnomalyPipeline

    scheduler = DDPMScheduler(num_train_timesteps=100, clip_sample=False)
    return AnomalyPipeline(
        network, scheduler, sampler={"name": "oneshot", "levels": [20]}, space={"size": 32}, **settings
    )


@pytest.fixture(scope="package")
def pipe():
    """A network of two classes whose table was never trained, but tells them apart."""
    torch.manual_seed(0)
    return make_pipe(MODELS.build("labelled", backbone=BACKBONE, width=16), provenance={"name": "tiny"})


@pytest.fixture(scope="package")
def class_model(pipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes") / "pipeline"
    pipe.save_pretrained(folder)
    return folder


@pytest.fixture
def scans(tmp_path):
    """Two scans, and where each may change."""
    region = np.zeros(inside().shape, np.uint8)
    region[8:13, 10:16, 4:7] = 1
    for seed in range(2):
        write(tmp_path / "in" / f"s{seed}.nii.gz", brain(seed))
        write(tmp_path / "in" / f"s{seed}_here.nii.gz", region)
    return tmp_path / "in"


@pytest.fixture
def picture(tmp_path):
    """A slice and a mask in it."""
    disc = np.hypot(*(np.indices((40, 56)) - np.array([20, 28])[:, None, None])) < 17
    grey = disc * (120 + 60 * np.random.default_rng(0).random((40, 56)))
    mask = np.zeros((40, 56), np.uint8)
    mask[14:22, 24:34] = 255
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "slice.png")
    Image.fromarray(mask).save(tmp_path / "here.png")
    return tmp_path / "slice.png", tmp_path / "here.png"
