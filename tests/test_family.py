"""Every published method is reached by its YAML file alone: trained, saved, loaded and used on a scan."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import list_configs, load
from diffad.training.run import train
from tests.helpers.brains import save_volume

FLAT = [
    "andi",
    "annotsim",
    "anoddpm",
    "autoddpm",
    "beside",
    "cddpm",
    "dae",
    "ddpm",
    "disyre",
    "itermask",
    "mcddpm",
    "one_to_normal_lite",
    "pddpm",
    "reflect",
    "thor",
]
BESIDE = ["classifier", "autoencoder"]
CODED = ["ldm", "madad"]  # of codecs that are trained before
SOLID = ["ddpm3d", "ldm3d", "wavelet3d"]
RIVALS = [
    "ae",
    "ae_flow",
    "asn",
    "fae",
    "gating_ano",
    "patch_bank",
    "rd4ad",
    "uniad",
    "unet_synthetic",
    "urd",
    "zscore",
]
"""Without diffusion."""
FUSED = ["fusion_unet"]  # of several sequences
STEERED = ["diffuse", "guided"]  # by networks that are trained before
QUICK = [
    "variant=smoke",
    "train.steps=2",
    "train.batch_size=2",
    "train.warmup=0",
    "train.validate_every=2",
    "train.validate_items=2",
    "train.checkpoint_every=2",
]


def test_every_config_of_the_family_is_tried():
    names = {*FLAT, *BESIDE, *STEERED, *CODED, *SOLID, *RIVALS, *FUSED}
    names |= {"autoencoder_kl", "brain_any", "ixi_t1_axial", "smoke"}
    assert set(list_configs()) == names


def trained(name, folder, data, *changes):
    """Train a config, and before it the networks that it asks for."""
    where = [data, f"output={folder}", *changes]
    asked = load(name, ["variant=smoke"]).networks
    for kind in BESIDE:
        if getattr(asked, kind) is not None:
            made = train(load(kind, ["variant=smoke", *where]))
            where.append(f"networks.{kind}={made}")
    if asked.codec is not None:
        made = train(load("autoencoder_kl", ["variant=smoke", *where]))
        where.append(f"networks.codec={made}")
    return AnomalyPipeline.from_pretrained(train(load(name, ["variant=smoke", *where])))


@pytest.mark.parametrize("name", [*FLAT, *STEERED, *CODED, *RIVALS])
def test_method_trains_and_finds_from_its_config(name, tmp_path):
    data = "data={name: toy, size: 32, count: 6}"
    pipe = trained(name, tmp_path, data, *QUICK[1:], "space.size=32")
    x = torch.rand(2, 1, 40, 36, generator=torch.Generator().manual_seed(0)) * 0.8 + 0.1
    x[..., :4], x[..., -4:] = 0, 0
    found = pipe(x, seed=3)
    assert found.anomaly_map.shape == x.shape
    assert torch.isfinite(found.anomaly_map).all()
    assert found.anomaly_map.max() > 0
    assert not found.anomaly_map[x == 0].any()
    assert found.info["nfe"] >= 1
    alone = pipe(x[1:], seed=3).anomaly_map[0]
    torch.testing.assert_close(alone, found.anomaly_map[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("variant", [["space.size=16"], ["variant=volumes", "model.channels=[4,8]"]])
def test_sequences_are_joined_from_its_config(variant, tmp_path):
    for k, split in enumerate(("train", "train", "val")):
        for sequence in ("flair", "t1w"):
            path = tmp_path / "data" / split / f"sub-{k}_{sequence}.nii.gz"
            save_volume(path, seed=2 * k + (sequence == "t1w"), shape=(18, 16, 14))
    data = f"data={{name: volumes, root: {tmp_path / 'data'}, sequences: [flair, t1w]}}"
    config = load("fusion_unet", [*QUICK, *variant, data, "train.validate_items=1", f"output={tmp_path}"])
    pipe = AnomalyPipeline.from_pretrained(train(config))
    x = torch.rand(1, 2, *(16, 14, 12)[: config.model.get("dims", 2)]) * 0.8 + 0.1
    found = pipe(x, seed=3)
    assert found.anomaly_map.shape == (1, 1, *x.shape[2:])
    assert found.anomaly_map.max() > 0
    assert found.reconstruction.shape == x.shape


def test_volumes_train_on_boxes_and_are_found_by_a_sliding_window(tmp_path):
    for split, count in (("train", 2), ("val", 1)):
        for k in range(count):
            save_volume(
                tmp_path / "data" / split / f"sub-{split}{k}.nii.gz",
                seed=k + 5 * (split == "val"),
                shape=(16, 14, 10),
            )
    changes = [f"data={{name: volumes, root: {tmp_path / 'data'}}}", "sampler.box=[8, 8, 8]"]
    config = load("ddpm3d", [*QUICK, *changes, "train.validate_items=1", f"output={tmp_path}"])
    pipe = AnomalyPipeline.from_pretrained(train(config))
    scan = save_volume(tmp_path / "scan.nii.gz", seed=9, shape=(15, 13, 8))
    found = pipe(scan)
    assert found.anomaly_map.shape == (1, 1, 15, 13, 8)
    assert found.anomaly_map.max() > 0
    assert found.info["nfe"] > 3


@pytest.mark.parametrize("name", ["ldm3d", "wavelet3d"])
def test_whole_volumes_train_and_are_found_in_codes(name, tmp_path):
    data = f"data={{name: volumes, root: {tmp_path / 'data'}}}"
    for split, count in (("train", 2), ("val", 1)):
        for k in range(count):
            path = tmp_path / "data" / split / f"sub-{split}{k}.nii.gz"
            save_volume(path, seed=k + 5 * (split == "val"), shape=(16, 14, 10))
    quick = [*QUICK[1:], data, "train.batch_size=1", "train.validate_items=1", f"output={tmp_path}"]
    if name == "ldm3d":
        codec = train(load("autoencoder_kl", ["variant=smoke_volumes", *quick]))
        quick.append(f"networks.codec={codec}")
    pipe = AnomalyPipeline.from_pretrained(train(load(name, ["variant=smoke", *quick])))
    found = pipe(save_volume(tmp_path / "scan.nii.gz", seed=9, shape=(15, 13, 8)))
    assert found.anomaly_map.shape == (1, 1, 15, 13, 8)
    assert found.anomaly_map.max() > 0
    assert found.info["nfe"] == 3


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    """Eight heads at 4 mm."""
    pytest.importorskip("nilearn")
    from diffad.data.phantom import PhantomOptions, make_phantoms

    folder = tmp_path_factory.mktemp("phantoms")
    make_phantoms(folder, 8, PhantomOptions(modalities=("t1",), spacing=4.0))
    return folder


@pytest.mark.slow
def test_volumes_of_phantoms_teach_a_3d_network(phantoms, tmp_path):
    config = load("ddpm3d", ["variant=smoke", f"data.root={phantoms}", f"output={tmp_path}"])
    pipe = AnomalyPipeline.from_pretrained(train(config))
    log = [json.loads(line) for line in (tmp_path / "ddpm3d" / "log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in log]
    assert sum(losses[-20:]) < 0.85 * sum(losses[:20])
    scan = next((phantoms / "test").rglob("*_T1w.nii.gz"))
    found = pipe(scan, mask=next(scan.parent.glob("*_desc-brain_mask.nii.gz")))
    files = found.save(tmp_path / "maps")
    map_, volume = nib.load(files["anomaly"]), nib.load(scan)
    assert map_.shape == volume.shape
    assert np.array_equal(map_.affine, volume.affine)
    # the network must have learned what brains look like: its twin is nearer than an empty one
    brain = found.brain[0, 0]
    error = (found.reconstruction - found.image).abs()[0, 0][brain].mean()
    assert error < 0.5 * found.image[0, 0][brain].abs().mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", [*FLAT, *STEERED, *CODED])
def test_smoke_variant_trains_and_finds_on_phantoms(name, phantoms, tmp_path):
    pipe = trained(name, tmp_path, f"data.root={phantoms}")
    scan = next((phantoms / "test").rglob("*_T1w.nii.gz"))
    found = pipe(scan, mask=next(scan.parent.glob("*_desc-brain_mask.nii.gz")), slices=(20, 26))
    assert torch.isfinite(found.anomaly_map).all()
    assert found.anomaly_map[found.brain].max() > 0
    assert not found.anomaly_map[~found.brain].any()


def test_whole_brain_recipe_trains_from_volumes_to_marked_maps(tmp_path):
    for split, count in (("train", 3), ("val", 2)):
        for k in range(count):
            path = tmp_path / "data" / split / f"sub-{split}{k}_T1w.nii.gz"
            save_volume(path, seed=k + 5 * (split == "val"), shape=(16, 14, 10))
    part = "data.parts=[{name: volumes, root: ., site: north}]"
    changes = [*QUICK, f"data.root={tmp_path / 'data'}", part, f"output={tmp_path}", "space.size=16"]
    pipe = AnomalyPipeline.from_pretrained(train(load("brain_any", changes)))
    assert pipe.network.marks
    assert pipe.network.takes_place
    assert pipe.config.domain
    assert list(pipe.config.calibration["whole"]["sites"]) == ["north"]
    found = pipe(save_volume(tmp_path / "scan.nii.gz", seed=9, shape=(15, 13, 8)))
    assert found.anomaly_map.shape == (1, 1, 15, 13, 8)
    assert found.anomaly_map.max() > 0
