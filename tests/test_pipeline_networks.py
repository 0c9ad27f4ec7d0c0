"""Networks that a pipeline carries beside its own, and regions that come from outside."""

import json

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad import AnomalyPipeline
from diffad.models.pretrained import ModelError
from diffad.registry import MODELS, SAMPLERS
from tests.helpers.brains import save_volume
from tests.test_pipeline import images, make, same

FUSION = {"name": "fusion", "level": 20, "steps": 2}
RESAMPLED = {
    "name": "resampled",
    "coarse": {"name": "chain", "level": 20, "steps": 2},
    "level": 10,
    "steps": 2,
}
INVERSION = {"name": "inversion", "level": 20, "steps": 2}


def classifier(**options):
    torch.manual_seed(1)
    network = MODELS.build("classifier", channels=[8], layers=1, attention=False, **options)
    with torch.no_grad():
        network.head.out.weight.normal_()
    return network.eval()


def autoencoder():
    torch.manual_seed(2)
    return MODELS.build("autoencoder", stem=8, down=[4, 4], up=[4, 4]).eval()


def steered(**options):
    return make(sampler=INVERSION, guidance={"name": "classifier", "scale": 5.0}, **options)


def test_guidance_finds_the_classifier_of_its_pipeline_after_loading(tmp_path):
    pipe = steered(classifier=classifier())
    pipe.save_pretrained(tmp_path)
    again = AnomalyPipeline.from_pretrained(tmp_path)
    found = pipe(images())
    assert same(again(images()), found)
    plain = pipe(images(), guidance={"name": "classifier", "scale": 0.0})
    assert not torch.equal(plain.anomaly_map, found.anomaly_map)


def test_scale_zero_equals_no_guidance_exactly():
    pipe = make(sampler=INVERSION, classifier=classifier())
    assert same(pipe(images()), pipe(images(), guidance={"name": "classifier", "scale": 0.0}))


def test_guidance_without_a_classifier_says_what_is_missing():
    with pytest.raises(ValueError, match="a trained classifier, got none: give option classifier=FOLDER"):
        steered()(images())


def test_guidance_takes_a_classifier_from_a_folder(tmp_path):
    classifier().save_pretrained(tmp_path / "judge")
    given = {"name": "classifier", "scale": 5.0, "classifier": str(tmp_path / "judge")}
    assert same(make(sampler=INVERSION)(images(), guidance=given), steered(classifier=classifier())(images()))


def test_classifier_of_other_channels_is_refused():
    with pytest.raises(ValueError, match="a classifier of scans with 1 channels, got one of 2"):
        steered(classifier=classifier(in_channels=2))(images())


def test_maps_do_not_depend_on_the_batch():
    pipe = steered(classifier=classifier())
    together, one = pipe(images()), pipe(images()[1:2])
    torch.testing.assert_close(one.anomaly_map[0], together.anomaly_map[1], rtol=1e-3, atol=1e-5)


def test_folder_with_a_class_that_is_no_registered_network_is_refused(tmp_path):
    steered(classifier=classifier()).save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    index["classifier"] = ["os", "system"]
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match=r"classifier os\.system, which is not a registered part"):
        AnomalyPipeline.from_pretrained(tmp_path)


def test_saliency_finds_both_networks_of_its_pipeline():
    sampler = {**FUSION, "saliency": {"name": "counterfactual", "steps": 2}}
    pipe = make(sampler=sampler, score={"name": "change"}, classifier=classifier(), autoencoder=autoencoder())
    found = pipe(images())
    assert found.anomaly_map.max() > 0


def region_of(x):
    region = torch.zeros_like(x)
    region[..., 6:10, 4:9] = 1
    return region


@pytest.mark.parametrize(
    "sampler",
    [
        FUSION,
        RESAMPLED,
        *({"name": "ensemble", "members": 2, "inner": inner} for inner in (FUSION, RESAMPLED)),
    ],
    ids=["fusion", "resampled", "ensemble of fusion", "ensemble of resampled"],
)
def test_twin_is_the_scan_outside_a_given_region(sampler):
    x = images()
    found = make(sampler=sampler, score={"name": "change"})(x, region=region_of(x))
    changed = (found.reconstruction - x).abs()
    inside = torch.nn.functional.max_pool2d(region_of(x), 3, 1, 1) > 0  # placed on another grid
    assert changed[inside].max() > 0.01
    if sampler.get("inner", sampler)["name"] == "resampled":
        assert changed[~inside].max() < 1e-5
    else:
        assert found.anomaly_map[~inside].max() < 1e-5


def test_region_of_a_volume_comes_from_a_file(tmp_path):
    path = save_volume(tmp_path / "scan.nii.gz", affine=np.diag([-1.0, 1, 2, 1]))
    scan = nib.load(path)
    region = np.zeros(scan.shape, np.uint8)
    region[5:9, 5:9, 2:5] = 1
    nib.save(nib.Nifti1Image(region, scan.affine), tmp_path / "region.nii.gz")
    pipe = make(sampler=FUSION, score={"name": "change"}, postprocess={"median": 1})
    found = pipe(path, region=tmp_path / "region.nii.gz")
    files = found.save(tmp_path / "maps")
    map_ = nib.load(files["anomaly"]).get_fdata()
    wide = np.zeros_like(region)
    wide[3:11, 3:11, 2:5] = 1
    assert map_[wide > 0].max() > 0
    assert map_[wide == 0].max() < 1e-5


REFUSED = {
    "shape": (
        lambda x: torch.zeros(3, 1, 4, 4),
        r"expected a region \(3, 1, 18, 15\), got shape \(3, 1, 4, 4\)",
    ),
    "range": (lambda x: region_of(x) * 2, r"expected a region in \[0, 1\], got values beyond"),
    "everything": (torch.ones_like, "expected a region that leaves some brain, got one that covers all"),
    "path": (lambda x: "region.nii.gz", "expected the region of a tensor as a tensor"),
}


@pytest.mark.parametrize(("region", "said"), REFUSED.values(), ids=REFUSED)
def test_region_that_cannot_be_used_raises(region, said):
    with pytest.raises((ValueError, TypeError), match=said):
        make(sampler=FUSION)(images(), region=region(images()))


def test_sampler_that_renews_everything_takes_no_region():
    with pytest.raises(ValueError, match="expected no region, as sampler OneShot changes the whole image"):
        make()(images(), region=region_of(images()))


def test_ensemble_of_a_sampler_that_renews_everything_takes_no_region():
    mixed = {"name": "ensemble", "samplers": [FUSION, {"name": "oneshot"}]}
    with pytest.raises(ValueError, match="expected no region, as sampler OneShot changes the whole image"):
        make(sampler=mixed)(images(), region=region_of(images()))


def test_a_given_region_loses_the_calibration():
    pipe = make(sampler=FUSION, calibration={"thresholds": {0.01: 0.5}, "scans": 1, "pixels": 9})
    assert pipe(images(), region=region_of(images())).info["threshold_rule"] == "otsu"


def test_every_sampler_that_takes_a_region_is_tried_here():
    assert {name for name in SAMPLERS if hasattr(SAMPLERS[name], "restricted_to")} == {
        "fusion",
        "resampled",
        "harmonised",
    }
