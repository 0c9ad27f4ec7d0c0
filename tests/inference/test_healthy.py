"""Healthy maps by place, and maps in their units."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from diffad.inference.calibrating import calibrate_model
from diffad.inference.healthy import FILE, FLOOR, HealthyMaps
from diffad.inference.healthy_scans import HealthyScan, measure_places, normalise_left_out
from diffad.inference.place_sums import GRID, PlaceSums, find_brain_box
from diffad.models.folder import ModelError

SHAPE = (40, 48, 36)
SITES = (("north", 3.0), ("south", 0.5))


def make_scan(seed=0, shape=SHAPE, rim=3.0):
    """A head whose map is noise, ``rim`` times as strong in the outer parts along the first axis."""
    generator = torch.Generator().manual_seed(seed)
    brain = torch.zeros(shape, dtype=torch.bool)
    brain[4:-4, 4:-4, 4:-4] = True
    level = torch.ones(shape)
    level[: shape[0] // 4], level[-(shape[0] // 4) :] = rim, rim
    anomaly = (-torch.rand(shape, generator=generator).clamp(min=1e-6).log() * level).masked_fill(~brain, 0)
    box = find_brain_box(brain)
    return HealthyScan(anomaly[box], brain[box], brain[box], 1.0)


def test_places_that_are_always_bright_are_flagged_no_more_than_others():
    scans = [make_scan(seed) for seed in range(8)]
    scores = normalise_left_out(scans, range(8))
    raw_cut = torch.stack([s.anomaly for s in scans]).flatten().quantile(0.99)
    cut = torch.stack(scores).flatten().quantile(0.99)
    centre = slice(10, -10)
    raw_rate = torch.stack([s.anomaly[centre] > raw_cut for s in scans]).float().mean()
    rate = torch.stack([z[centre] > cut for z in scores]).float().mean()
    assert raw_rate < 0.001
    assert 0.003 < rate < 0.03


def test_sums_of_parts_are_the_sum_of_all_and_come_apart_again():
    sums = [PlaceSums.of(s.anomaly, s.analysed, s.brain) for s in map(make_scan, range(3))]
    total = PlaceSums.total(sums)
    assert total.scans == 3
    rest = total - sums[0]
    assert rest.scans == 2
    torch.testing.assert_close(rest.values, (sums[1] + sums[2]).values)


def test_mean_and_spread_of_one_place_are_those_of_its_values():
    scans = [make_scan(seed, rim=1.0) for seed in range(20)]
    healthy = measure_places(scans)
    values = torch.cat([s.anomaly.flatten() for s in scans])
    inner = (slice(6, -6),) * 3
    torch.testing.assert_close(healthy.mean[inner].mean(), values.mean(), rtol=0.02, atol=0)
    torch.testing.assert_close(healthy.sd[inner].mean(), values.std(), rtol=0.05, atol=0)
    assert healthy.floor == pytest.approx(FLOOR * float(values.std()), rel=0.01)


def test_cell_that_no_scan_reaches_is_the_average_one():
    scan = make_scan()
    analysed = scan.analysed.clone()
    analysed[:, :, : analysed.shape[2] // 2] = False
    healthy = measure_places([HealthyScan(scan.anomaly, analysed, scan.brain, 1.0)])
    overall = scan.anomaly[analysed].mean()
    torch.testing.assert_close(healthy.mean[:, :, 0], overall.expand(GRID[:2]), rtol=0.01, atol=0)


def test_a_scan_is_not_measured_by_itself():
    scans = [make_scan(0), make_scan(1)]
    scores = normalise_left_out(scans, range(2))
    torch.testing.assert_close(scores[0], scans[0].normalise(measure_places(scans[1:])))
    alone = normalise_left_out(scans[:1], range(1))
    torch.testing.assert_close(alone[0], scans[0].normalise(measure_places(scans[:1])))


def test_sites_left_out_raise_thresholds_where_scans_of_a_site_are_alike():
    """Scans of the north have a bright rim, those of the south a dark one; each looks odd to the other."""
    north, south = ([replace(make_scan(i, rim=rim), site=site) for i in range(3)] for site, rim in SITES)
    pipe = SimpleNamespace(
        config=SimpleNamespace(postprocess={"normalise": "place", "fpr": 0.01, "pool": "max", "share": 0.01}),
        register_to_config=lambda **kwargs: None,
        engine=SimpleNamespace(name="torch"),
    )
    own = calibrate_model(pipe, [*north, *south], [0.01])
    others = calibrate_model(pipe, [*north, *south], [0.01], held_out="site")
    assert (own.held_out, others.held_out) == ("", "site")
    assert others.threshold(0.01) > 1.5 * own.threshold(0.01)
    maps = normalise_left_out([*north, *south], ["north"] * 3 + ["south"] * 3)
    torch.testing.assert_close(maps[0], north[0].normalise(measure_places(south)))
    cut = torch.cat([z.flatten() for z in maps[:3]]).quantile(0.99)
    assert others.threshold(0.01) == pytest.approx(float(cut), rel=0.01)
    alone = calibrate_model(pipe, north, [0.01], held_out="site")
    assert alone.held_out == ""
    assert alone.thresholds == calibrate_model(pipe, north, [0.01]).thresholds


def test_scores_do_not_depend_on_field_of_view_or_batch():
    healthy = measure_places([make_scan(seed) for seed in range(3)])
    scan = make_scan(9)
    values = [v[None, None] for v in (scan.anomaly, scan.analysed, scan.brain)]
    plain = healthy.normalise(*values)
    padded = healthy.normalise(*(torch.nn.functional.pad(v, (3, 1, 2, 2, 0, 5)) for v in values))
    torch.testing.assert_close(padded[:, :, :-5, 2:-2, 3:-1], plain)
    both = healthy.normalise(*(torch.cat([v, v]) for v in values))
    torch.testing.assert_close(both, torch.cat([plain, plain]))


def test_higher_maps_score_no_lower_and_what_was_not_analysed_is_zero():
    healthy = measure_places([make_scan(seed) for seed in range(3)])
    scan = make_scan(5)
    analysed = scan.analysed.clone()
    analysed[5:9] = False
    values = [v[None, None] for v in (scan.anomaly, analysed, scan.brain)]
    scores = healthy.normalise(*values)
    more = healthy.normalise(values[0] + 0.2, *values[1:])
    assert bool((more >= scores).all())
    assert bool((scores >= 0).all() and scores.isfinite().all())
    assert bool((more[0, 0, 5:9] == 0).all())


def test_map_of_zeros_has_places_too():
    scan = make_scan()
    empty = HealthyScan(torch.zeros_like(scan.anomaly), scan.analysed, scan.brain, 1.0)
    scores = empty.normalise(measure_places([empty, empty]))
    assert bool((scores == 0).all())


def test_file_gives_back_the_same_maps_and_is_small(tmp_path):
    healthy = measure_places([make_scan(seed) for seed in range(2)])
    path = healthy.save(tmp_path)
    assert path.stat().st_size < 200_000
    copy = HealthyMaps.load(tmp_path)
    assert torch.equal(copy.mean, healthy.mean)
    assert torch.equal(copy.sd, healthy.sd)
    assert (copy.floor, copy.scans) == (healthy.floor, 2)
    assert HealthyMaps.load(tmp_path / "other") is None


def test_other_files_are_refused_by_name(tmp_path):
    (tmp_path / FILE).write_bytes(b"no tensors")
    with pytest.raises(ModelError, match=f"{FILE}: expected mean and sd of healthy maps"):
        HealthyMaps.load(tmp_path)


def test_bad_values_are_refused():
    grid = torch.ones(GRID)
    with pytest.raises(ValueError, match="expected mean and sd of shape"):
        HealthyMaps(grid[1:], grid, 1.0, 1)
    with pytest.raises(ValueError, match="expected finite means"):
        HealthyMaps(grid, -grid, 1.0, 1)
    with pytest.raises(ValueError, match="expected a floor above 0"):
        HealthyMaps(grid, grid, 0.0, 1)
    with pytest.raises(ValueError, match="expected healthy scans"):
        measure_places([])
    with pytest.raises(ValueError, match="an empty one"):
        find_brain_box(torch.zeros(3, 3, 3, dtype=torch.bool))
