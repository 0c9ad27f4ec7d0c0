"""What users hold on to stays: imports, commands, options, names of parts, keys of files.

More may come, none may go. Every expectation is written out here, so that a rename shows; whoever drops one
on purpose drops it from its list.
"""

import csv
import importlib
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

import diffad
from diffad.cli import main

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

IMPORTS = {
    "diffad": (
        "AnomalyOutput AnomalyPipeline DATASETS GUIDANCES MODELS NOISES SAMPLERS SCORES Volume __version__"
        " choose_model"
    ),
    "diffad.pipeline": "AnomalyOutput AnomalyPipeline",
    "diffad.predict": "Cohort Options Summary",
    "diffad.prepare": "Options Prepared prepare",
    "diffad.monai": "AnomalyDetectiond AnomalyInferer",
    "diffad.registry": (
        "NOISES SAMPLERS GUIDANCES SALIENCIES SCORES MODELS DATASETS LAYOUTS PROTOCOLS CORRUPTIONS Registry"
        " UnknownNameError unknown"
    ),
    "diffad.types": "Example Generators Restoration StepRecord generator_for generators_for",
    "diffad.protocols": (
        "AnomalyScore Conditional Corruption Denoiser Guidance NoiseGenerator Saliency Sampler ScoreRun Step"
        " StreamingScore Trains"
    ),
    "diffad.schedule": "Schedule",
    "diffad.step": "DDIM DDPM ddim_step ddpm_step renoise",
    "diffad.denoise": "DenoiserWrapper GuidedDenoiser NetworkDenoiser bind clean_estimate training_target",
    "diffad.config": (
        "AugmentConfig Config ConfigError CorruptConfig NetworksConfig PartSpec PostprocessConfig"
        " ScheduleConfig SpaceConfig TASKS TrainConfig from_dict load shipped to_dict"
    ),
    "diffad.noise.base": "check_like check_number levels_of per_item",
    "diffad.samplers.base": "as_level check_call level_option levels_down noised",
    "diffad.data.volume": "Volume VolumeError",
    "diffad.engines": "Engine EngineError",
    "diffad.evaluation": (
        "BestDice Counts Cut LesionCounts ProCurve ProHistogram RankCurve RankHistogram aupro auroc"
        " average_precision best_dice dice expected_calibration_error false_alarm_rate hd95"
        " lesion_wise mae pool psnr ssim surface_dice"
    ),
    "diffad.threshold": (
        "Calibration POOLINGS RATES Survival calibrate fixed healthy_threshold inside otsu pool"
    ),
    "diffad.cli": "main",
}
"""Names that can be imported, by module."""

SAME = (
    ("diffad:AnomalyPipeline", "diffad.pipeline:AnomalyPipeline"),
    ("diffad:AnomalyOutput", "diffad.pipeline:AnomalyOutput"),
    ("diffad:Volume", "diffad.data.volume:Volume"),
    *((f"diffad:{name}", f"diffad.registry:{name}") for name in ("DATASETS", "GUIDANCES", "MODELS")),
    *((f"diffad:{name}", f"diffad.registry:{name}") for name in ("NOISES", "SAMPLERS", "SCORES")),
)
"""Names for one object in two modules."""

FORMER = {
    "diffad.protocols:Trains": "MakesExamples",
    "diffad.predict:Summary": "CohortSummary",
    "diffad.prepare:Options": "PrepareOptions",
    "diffad.prepare:Prepared": "PreparedScan",
    "diffad.registry:unknown": "unknown_name",
    "diffad.types:Restoration": "Reconstruction",
    "diffad.config:shipped": "list_configs",
    "diffad.samplers.base:noised": "noise_to_level",
    "diffad.evaluation:Cut": "DiceThreshold",
    "diffad.threshold:calibrate": "calibrate_thresholds",
    "diffad.threshold:fixed": "check_threshold",
    "diffad.threshold:inside": "select_values",
    "diffad.threshold:pool": "pool_maps",
}
"""Names that stay for scripts of users, and what their objects are called now."""

ENTRIES = ["diffad", "diffad.benchmark", "diffad.predict", "diffad.training"]
"""Modules that `python -m` and `accelerate launch -m` run."""

PARTS = {
    "NOISES": "bank coarse gaussian mixed pyramid simplex",
    "SAMPLERS": (
        "chain direct dpm_solver ensemble fusion harmonised inversion itermask levels oneshot patched"
        " resampled severities"
    ),
    "GUIDANCES": "classifier classifier_free condition_free encoder",
    "SALIENCIES": "autoencoded counterfactual gradient intensity random restored uniform",
    "SCORES": (
        "change features flip gms l1 l2 likelihood lpips mean ms_ssim normative product relative spread"
        " ssim temporal triplet zscore"
    ),
    "MODELS": (
        "adm autoencoder beside bridge classifier conditioned dae detail dit dtunet labelled references"
        " strided unet2d unet3d uvit"
    ),
    "DATASETS": "auto images labels mix toy volumes",
    "CORRUPTIONS": (
        "blend cells coarse cross_blend disyre fluid foreign fpi intensity mass reflect sink source spots"
        " walk"
    ),
    "LAYOUTS": (
        "atlas2 behrendt bercea bmad brats2020 brats2021 brats2023 fastmri_plus ixi medianomaly_brats"
        " medianomaly_isic medianomaly_json mslub slices table uadimag upd wmh"
    ),
    "PROTOCOLS": "bercea bmad diffad kascenas medianomaly pddpm uadimag upd",
}
"""Registries of ``diffad.registry`` and the names that YAML, the command line and Python know."""

GROUPS = {
    "NOISES": "diffad.noises",
    "SAMPLERS": "diffad.samplers",
    "GUIDANCES": "diffad.guidances",
    "SALIENCIES": "diffad.saliencies",
    "SCORES": "diffad.scores",
    "MODELS": "diffad.models",
    "DATASETS": "diffad.datasets",
    "CORRUPTIONS": "diffad.corruptions",
    "LAYOUTS": "diffad.layouts",
    "PROTOCOLS": "diffad.protocols",
}
"""Groups of entry points by which other distributions register parts."""

CONFIGS = (
    "andi annotsim anoddpm autoddpm autoencoder beside cddpm classifier dae ddpm ddpm3d diffuse guided"
    " itermask"
    " ixi_t1_axial"
    " mcddpm"
    " one_to_normal_lite"
    " pddpm smoke thor"
)
BENCHMARKS = "benchmark_ixi benchmark_smoke"

EXPERIMENT_KEYS = {
    "": (
        "name data model noise sampler task networks corrupt sampling_noise score guidance schedule"
        " space augment postprocess train seed output"
    ),
    "networks": "classifier autoencoder references",
    "corrupt": "tasks held_out chance role weight mark full codes",
    "schedule": "num_train_timesteps beta_start beta_end beta_schedule prediction_type",
    "space": (
        "size fov window axis further_axes further_windows neighbours"
        " intensity low high headroom centre width"
    ),
    "augment": "flip rotate shift scale gamma gain blur tone bias noise",
    "postprocess": (
        "erosion median min_size erosion_rule median_first filled median_axes across morphology min_mm3 pool"
        " share fpr normalise clusters"
    ),
    "train": (
        "steps network batch_size accumulate lr warmup min_lr weight_decay clip_norm levels loss"
        " snr_gamma ema_decay allow_changes mixed_precision channels_last device workers validate_every"
        " validate_items validate_levels checkpoint_every keep_checkpoints encoder calibrate_fpr"
        " teacher teacher_rule teacher_steps"
    ),
}
METHOD_KEYS = "label train set pipeline seeds parts"
BENCHMARK_KEYS = {
    "": (
        "name data methods networks baselines seeds protocols folds resamples batch_size precision"
        " budget output"
    ),
    "data": "slices size lesions limit root layout sequence split by_group healthy healthy_mask",
    "data.lesions": "implanted corrupted",
    "methods.0": METHOD_KEYS,
    "methods.0.parts": "sampler score noise guidance",
    "networks.0": METHOD_KEYS,
    "budget": "train_seconds predict_seconds",
}
"""Keys of the YAML files by section."""

COMMANDS = {
    "": (0, "--version --debug --help -h --install-completion --show-completion"),
    "benchmark": (2, ""),
    "bids-app": (
        3,
        (
            "--participant-label --session-label --bids-filter-file --skip-bids-validation -w --work-dir"
            " --nprocs --mem-gb --model --no-prepare --modality --brain --register --bias --no-bias --mask"
            " --sequences --slices --threshold --seed --batch-size --precision --keep-small --page --no-page"
            " --on-failure --device --overwrite --verify --strict --space"
        ),
    ),
    "calibrate": (
        1,
        "--across --batch-size --device --engine --fpr --held-out --mask --mask-threshold --max-voxels"
        " --model --normalise --out --patients --precision --sampler --score --sensitivity --site --slices"
        " --trust",
    ),
    "compare": (
        2,
        (
            "--batch-size --bias --brain --dates --device --keep-small --mask --mask-threshold --max-voxels"
            " --modality --model --no-bias --out --overwrite --precision --prepare --register --rescan"
            " --same-person --seed --slices --threshold --tolerance --trust --verify"
        ),
    ),
    "data check": (1, "--layout --out --quick --show"),
    "data paint": (2, "--out --split"),
    "data sheet": (2, "--count --out --picture --split"),
    "demo": (0, "--model --out --seed"),
    "evaluate": (1, "--brains --folds --healthy-without-mask --masks --out --protocol --resample --strata"),
    "fill": (
        1,
        "--batch-size --device --dilate --feather --lesion --mask --members --model --out --overwrite"
        " --prepare --repeats --seed --selftest --start-level --steps",
    ),
    "group": (1, "--by --include-outside --include-poor --model --out --participants"),
    "implant": (1, "--healthy --limit --mask --out --paint --per-scan --seed"),
    "dicom": (1, "--out --overwrite --source"),
    "doctor": (0, "--test --no-test"),
    "export": (1, "--batch-size --mask --out --precision --scans --slices --to"),
    "info": (1, "--mask"),
    "list": (1, ""),
    "models check": (1, ""),
    "models list": (0, ""),
    "models path": (1, ""),
    "models pull": (1, "--out --revision"),
    "models push": (2, "--private --revision"),
    "noise": (2, "--all --count --level --picture --save --seed --size"),
    "phantom": (0, "--lesioned --lesions --modality --out --picture --seed --spacing --subjects"),
    "predict": (
        1,
        (
            "--axes --batch-size --bias --brain --device --engine --fusion --guidance --keep-identifiers"
            " --keep-small --layout --mask --mask-threshold --max-voxels --modality --model --no-bias"
            " --no-page --noise --noise-across --on-failure --out --overwrite --page --precision"
            " --prepare --region --register --sampler --score --seed --strict --verify --sequences"
            " --series --slices --space --threshold --trust"
        ),
    ),
    "prepare": (
        1,
        (
            "--bias --brain --hu --keep-identifiers --mask --mask-threshold --max-voxels --modality --no-bias"
            " --out --register --seed --sequences --series --spacing --threads --together --trust"
        ),
    ),
    "pretrain": (2, "--cell --ratio"),
    "report": (1, "--figure"),
    "sweep": (2, "--data --out --over --seeds --side"),
    "synthesise": (
        1,
        "--batch-size --count --detail --device --inference-steps --inner-steps --label --mask --model --out"
        " --overwrite --prompt --region --scale --seed --strength --visible --volume --word",
    ),
    "train": (2, "--dry-run --picture"),
    "version": (0, ""),
}
"""Commands, how many arguments they take by position, and their options."""

TALK = "-q --quiet -v --verbose --log --json"
"""Options of every command."""

EVENTS = {
    "cohort": "scans model out message",
    "scan": "scan outcome status score volume_ml threshold seconds nfe error warnings domain p_value stages",
    "stage": "scan stage seconds",
    "warning": "message",
    "summary": "done done_before other_options busy failed absent warned outside_domain complete table page",
}
"""Keys of the JSON objects of predict, beside those that all objects have."""

CHOICES = {
    "predict": (
        "auto all qform sform fp32 bf16 int8 torch compile openvino onnx"
        " mri ct deepbet threshold given affine rigid plain bids any all never"
        " axial coronal sagittal native MNI152NLin2009aSym"
    ),
    "prepare": "mri ct deepbet threshold given affine rigid",
    "list": " ".join(PARTS).lower() + " configs pretrained",
    "phantom": "t1 t2 flair ct ischaemia haemorrhage plaques",
}
"""Values of options that the help of a command names."""

CALL = (
    "scan mask sampler score noise guidance region threshold slices axes fusion noise_across seed"
    " batch_size precision mask_threshold strict keep_small generator num_inference_steps"
)
BUILD = (
    "network scheduler noise sampler score guidance space postprocess calibration provenance"
    " sequences classifier autoencoder domain scope references"
)
OUTPUT = "anomaly_map reconstruction mask score info image brain volume std p_value"
OPTIONS = (
    "sampler score noise guidance threshold slices seed batch_size precision engine axes fusion noise_across"
    " trust max_voxels mask_threshold"
)
COHORT = "pipe out options mask region overwrite prepare page share verify in_template"

SUFFIXES = (
    "_anomaly.nii.gz _info.json _lesions.csv _lesions.json _mask.nii.gz _pvalue.nii.gz"
    " _report.html _report.png _seen.nii.gz _std.nii.gz _twin.nii.gz"
)
BIDS = (
    "desc-anomaly_T1w.nii.gz desc-anomaly_T1w.json desc-twin_T1w.nii.gz desc-std_T1w.nii.gz"
    " desc-pvalue_T1w.nii.gz desc-anomalyT1w_dseg.nii.gz desc-anomalyT1w_dseg.tsv"
    " desc-anomalyT1w_dseg.json desc-report_T1w.html desc-report_T1w.png"
    " desc-anomalyT1w_mask.nii.gz desc-seenT1w_mask.nii.gz"
)
"""Ends of the names of all results of a scan, in a plain folder and as a BIDS derivative."""

INFO = (
    "threshold threshold_rule nfe slices seed precision engine sampler score model config versions"
    " seconds axis slice_range image_score warnings anomalous_ml scan request domain headline verdict"
    " coverage flagged to_template"
)
LESION = (
    "number volume_ml voxels centre_mm centre_voxel extent_mm mean peak peak_voxel p_value"
    " place side structure tissue zone place_source"
)
LESION_COLUMNS = (
    "number volume_ml voxels centre_x_mm centre_y_mm centre_z_mm centre_i centre_j centre_k"
    " extent_i_mm extent_j_mm extent_k_mm mean peak peak_i peak_j peak_k p_value"
    " place side structure tissue zone place_source"
)
RESULT_COLUMNS = (
    "scan status verdict model scope coverage flagged_share score volume_ml threshold seconds nfe error"
    " warnings domain p_value"
)
MODEL_INDEX = (
    "calibration guidance network noise postprocess provenance sampler scheduler score sequences space domain"
    " scope"
)

VOLUME_KEYS = (
    "scan lesion_voxels image_score pixel_ap pixel_auroc oracle_dice oracle_threshold dice false_alarm_rate"
)
POOLED_KEYS = (
    "scans lesioned image_auroc image_ap pixel_ap pixel_auroc oracle_dice oracle_threshold dice"
    " mean_dice healthy_voxels_flagged healthy_scans_flagged"
)
PROTOCOL_SETTINGS = (
    "name summary source size slices where masked erosion erosion_per erosion_rule median"
    " median_axes median_border sigma min_size filled comparison pool pool_where pool_map share"
    " percentile aggregate pixel_samples least_lesion strata threshold tuned_on steps grid fpr fixed"
    " dice_aggregate dice_of empty aupro_limit regions tolerance_mm intervals folds resamples seed"
)
PROTOCOL_FIGURES = (
    "oracle_dice oracle_threshold aupro pixel_ap pixel_auroc dice precision recall fpr mean_dice"
    " lesion_recall lesion_precision lesion_f1 hd95 surface_dice threshold healthy_voxels_flagged"
    " healthy_scans_flagged image_auroc image_ap samples anomalous"
)
PROTOCOL_SAMPLES = (
    "name subject group anomalous image_score lesion_voxels pixel_ap threshold dice precision"
    " recall fpr flagged hd95 surface_dice lesions_found lesions_missed lesions_false"
)
BENCHMARK_COLUMNS = {
    "results.csv": "method protocol data seed figure value low high",
    "costs.csv": "method nfe seconds parameters",
}


def missing(expected, present):
    """Names of a list in words that are not there any more."""
    return sorted(set(expected.split()) - set(present))


def resolve(place):
    """The object that ``module:name`` means."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def columns(path):
    with path.open(newline="") as file:
        return next(csv.reader(file))


# Imports


@pytest.mark.parametrize("module", IMPORTS)
def test_public_names_can_be_imported(module):
    assert missing(IMPORTS[module], dir(importlib.import_module(module))) == []


@pytest.mark.parametrize("module", IMPORTS)
def test_name_gives_the_object_of_that_name(module):
    objects = {name: resolve(f"{module}:{name}") for name in IMPORTS[module].split()}
    for name, thing in objects.items():
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__name__ == FORMER.get(f"{module}:{name}", name)


def test_package_lists_its_names():
    assert missing(IMPORTS["diffad"], diffad.__all__) == []
    assert all(hasattr(diffad, name) for name in diffad.__all__)


@pytest.mark.parametrize(("place", "other"), SAME)
def test_name_of_two_modules_is_one_object(place, other):
    assert resolve(place) is resolve(other)


def cited(pattern):
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    return sorted(set(re.findall(pattern, text, re.M)))


STATEMENTS = cited(r"^((?:from diffad[\w.]* )?import (?:diffad|(?<=import )\w)[\w., ]*)$")
MODULES = cited(r"-m (diffad[\w.]*\w)")


def test_pages_cite_imports_and_modules():
    assert {"import diffad", "from diffad.prepare import PrepareOptions, prepare"} <= set(STATEMENTS)
    assert set(ENTRIES) - {"diffad"} <= set(MODULES)


@pytest.mark.parametrize("statement", [s for s in STATEMENTS if "diffad" in s and "checker" not in s])
def test_import_of_a_page_works(statement):
    exec(statement, {})


# Entries


@pytest.mark.parametrize("module", [*ENTRIES, *(m for m in MODULES if m not in ENTRIES)])
def test_module_to_run_exists(module):
    spec = importlib.util.find_spec(module)
    assert spec is not None
    if spec.submodule_search_locations is not None:
        assert importlib.util.find_spec(f"{module}.__main__") is not None


SLOW = ("diffad.predict", "diffad.training")


@pytest.mark.parametrize(
    "module", [pytest.param(m, marks=[pytest.mark.slow] if m in SLOW else []) for m in ENTRIES]
)
def test_module_runs_and_says_how_it_is_used(module):
    run = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "usage:" in run.stdout.lower()


def test_console_script_is_the_main_of_the_command_line():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "diffad"
    assert project["scripts"]["diffad"] == "diffad.cli:main"
    assert project["scripts"]["diffad-bids"] == "diffad.cli.app:run_bids_app"
    assert list(inspect.signature(main).parameters) == ["arguments"]


# Registries


@pytest.mark.parametrize("registry", PARTS)
def test_parts_keep_their_names(registry):
    assert missing(PARTS[registry], resolve(f"diffad.registry:{registry}")) == []


@pytest.mark.slow
def test_other_distributions_register_through_the_same_groups(tmp_path):
    (tmp_path / "plugged.py").write_text("class Part:\n    pass\n")
    about = tmp_path / "plugged-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    points = "".join(f"[{group}]\nplugged_part = plugged:Part\n" for group in GROUPS.values())
    (about / "entry_points.txt").write_text(points)
    code = "import diffad.registry as r; print(*(n for n in NAMES if 'plugged_part' in getattr(r, n)))"
    run = subprocess.run(
        [sys.executable, "-c", code.replace("NAMES", repr([*GROUPS]))],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [*GROUPS]


# Configs


def test_configs_keep_their_names():
    from diffad.config import shipped

    files = [path.stem for path in (ROOT / "configs").glob("*.yaml")]
    assert missing(CONFIGS, shipped()) == []
    assert missing(f"{CONFIGS} {BENCHMARKS}", files) == []


@pytest.mark.parametrize("name", CONFIGS.split())
def test_shipped_config_loads_with_its_keys(name):
    from diffad.config import load

    keys_are_kept(EXPERIMENT_KEYS, load(ROOT / "configs" / f"{name}.yaml").to_dict())
    assert load(name) == load(ROOT / "configs" / f"{name}.yaml")


@pytest.mark.parametrize("name", BENCHMARKS.split())
def test_shipped_benchmark_loads_with_its_keys(name):
    from diffad.benchmark.config import load

    network = "networks=[{label: helper, train: smoke}]"
    config = load(ROOT / "configs" / f"{name}.yaml", ["data.slices=folder", network])
    keys_are_kept(BENCHMARK_KEYS, config.to_dict())


def keys_are_kept(expected, values):
    for section, keys in expected.items():
        inner = values
        for step in filter(None, section.split(".")):
            inner = inner[int(step)] if step.isdecimal() else inner[step]
        assert missing(keys, inner) == [], section


def test_experiment_takes_every_key(tmp_path):
    from diffad.config import load

    config = load("smoke")
    text = json.dumps(config.to_dict())  # JSON is YAML, and holds every key
    (tmp_path / "whole.yaml").write_text(text)
    assert load(tmp_path / "whole.yaml") == config


# The command line


def help_of(command, capsys):
    assert main([*command.split(), "--help"]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_command_keeps_its_arguments_and_options(command, capsys):
    text = help_of(command, capsys)
    positions, options = COMMANDS[command]
    heads = re.findall(r"^ {2}(-.*?)(?: {2}|$)", text, re.M)
    options = f"{options} {TALK}" if command else options
    assert missing(options, re.findall(r"(?<!\w)--?[a-z][\w-]*", " ".join(heads))) == []
    arguments = text.partition("\nArguments:\n")[2].partition("\n\n")[0]
    assert len(re.findall(r"^ {2}\[?\S", arguments, re.M)) == positions


def test_every_command_is_listed(capsys):
    listed = help_of("", capsys).partition("\nCommands:\n")[2].split()
    assert {command.split()[0] for command in COMMANDS if command} <= set(listed)


@pytest.mark.parametrize("command", CHOICES)
def test_values_of_options_stay(command, capsys):
    text = help_of(command, capsys)
    assert missing(CHOICES[command], re.findall(r"\w+", text)) == []


# Python


def test_pipeline_keeps_its_keywords():
    call = inspect.signature(diffad.AnomalyPipeline.__call__).parameters
    assert missing(CALL, call) == []
    assert [*call][1:3] == ["scan", "mask"]
    assert missing(BUILD, inspect.signature(diffad.AnomalyPipeline.__init__).parameters) == []
    assert next(iter(inspect.signature(diffad.AnomalyPipeline.from_pretrained).parameters)) == "name"


def test_output_keeps_its_fields_and_methods():
    assert missing(OUTPUT, inspect.signature(diffad.AnomalyOutput).parameters) == []
    assert missing("save to_nifti lesions", dir(diffad.AnomalyOutput)) == []
    assert missing("folder name", inspect.signature(diffad.AnomalyOutput.save).parameters) == []
    parameters = inspect.signature(diffad.AnomalyOutput.lesions).parameters
    assert missing("connectivity smallest_ml", parameters) == []


def test_cohort_and_its_options_keep_their_keywords():
    from diffad.predict import Cohort, Options

    assert missing(OPTIONS, inspect.signature(Options).parameters) == []
    assert missing(COHORT, inspect.signature(Cohort).parameters) == []


def test_values_of_a_plug_in_keep_their_fields():
    from diffad.types import Restoration, StepRecord

    x = torch.zeros(1, 1, 2, 2)
    restoration = Restoration(x, nfe=3)
    assert restoration.image is x
    assert missing("image nfe std map reference", dir(restoration)) == []
    assert missing("t s x_t x_hat x_s map", dir(StepRecord(2, 1, x, x, x))) == []


# Files


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """Two scans, a calibrated model that makes several twins, its results, plain and BIDS, and scores."""
    work = tmp_path_factory.mktemp("surface")
    write_scans(work)
    write_model(work / "plain_model")
    scans, model = str(work / "scans"), str(work / "model")
    options = ["--model", model, "--threshold", "0.01", "--device", "cpu"]
    tables = ["--out", str(work / "scores.json"), "--out", str(work / "scores.csv")]
    scored = ["--masks", str(work / "lesions"), "--protocol", "diffad", "--folds", "2", *tables]
    assert main(["calibrate", scans, "--model", str(work / "plain_model"), "--out", model]) == 0
    assert main(["predict", scans, "--out", str(work / "plain"), "--layout", "plain", *options]) == 0
    assert main(["predict", scans, "--out", str(work / "bids"), *options]) == 0
    assert main(["evaluate", str(work / "plain"), *scored]) == 0
    return work


def write_scans(work):
    rng, affine = np.random.default_rng(0), np.diag([-2.0, 2.0, 3.0, 1.0])
    for number in (1, 2):
        scan, lesion = np.zeros((24, 28, 10), np.float32), np.zeros((24, 28, 10), np.uint8)
        scan[4:20, 4:24, 1:9] = 100 + 20 * rng.random((16, 20, 8))
        lesion[8:10, 8:10, 4] = number == 1
        folder = work / f"scans/sub-0{number}/anat"
        folder.mkdir(parents=True)
        (work / "lesions").mkdir(exist_ok=True)
        nib.save(nib.Nifti1Image(scan, affine), folder / f"sub-0{number}_T1w.nii.gz")
        nib.save(nib.Nifti1Image(lesion, affine), work / f"lesions/sub-0{number}_lesion.nii.gz")
    about = {"Name": "tiny", "BIDSVersion": "1.9.0"}
    (work / "scans/dataset_description.json").write_text(json.dumps(about))


def write_model(folder):
    from diffusers import DDPMScheduler

    torch.manual_seed(0)
    network = diffad.MODELS.build("unet2d", channels=(8, 16), layers=1, attention=False)
    sampler = {"name": "ensemble", "members": 2, "inner": {"name": "oneshot", "levels": [20]}}
    scheduler = DDPMScheduler(num_train_timesteps=100, clip_sample=False)
    pipe = diffad.AnomalyPipeline(network, scheduler, sampler=sampler, space={"size": 32})
    pipe.save_pretrained(folder)


def test_results_keep_their_names(work):
    names = [path.name for path in (work / "plain").iterdir()]
    expected = [f"sub-0{n}_T1w{suffix}" for n in (1, 2) for suffix in SUFFIXES.split()]
    assert missing(" ".join([*expected, "results.csv", "index.html"]), names) == []


def test_results_of_a_bids_tree_keep_their_names(work):
    paths = [str(path.relative_to(work / "bids")) for path in (work / "bids").rglob("*")]
    expected = [f"sub-01/anat/sub-01_{end}" for end in BIDS.split()]
    assert (
        missing(" ".join([*expected, "dataset_description.json", "results.csv", "index.html"]), paths) == []
    )


def test_info_keeps_its_keys(work):
    assert missing(INFO, json.loads((work / "plain/sub-01_T1w_info.json").read_text())) == []


def test_lesions_keep_their_keys_and_columns(work):
    stored = json.loads((work / "plain/sub-01_T1w_lesions.json").read_text())
    assert stored["lesions"]
    assert missing(LESION, stored["lesions"][0]) == []
    assert missing(LESION_COLUMNS, columns(work / "plain/sub-01_T1w_lesions.csv")) == []


def test_table_of_a_cohort_keeps_its_columns(work):
    assert missing(RESULT_COLUMNS, columns(work / "plain/results.csv")) == []


def test_model_folder_keeps_its_keys(work):
    assert missing(MODEL_INDEX, json.loads((work / "model/model_index.json").read_text())) == []
    names = [str(path.relative_to(work / "model")) for path in (work / "model").rglob("*")]
    files = "network/config.json network/diffusion_pytorch_model.safetensors scheduler/scheduler_config.json"
    files += " README.md preprocessing.json digests.json"
    assert missing(files, names) == []


def test_scores_keep_their_keys(work):
    scores = json.loads((work / "scores.json").read_text())
    assert missing("pooled volumes missing warnings protocols", scores) == []
    assert missing(POOLED_KEYS, scores["pooled"]) == []
    assert missing(VOLUME_KEYS, scores["volumes"][0]) == []
    assert missing(f"{VOLUME_KEYS} {POOLED_KEYS}", columns(work / "scores.csv")) == []


def test_scores_by_a_protocol_keep_their_keys(work):
    protocol = json.loads((work / "scores.json").read_text())["protocols"]["diffad"]
    assert missing("settings figures samples warnings", protocol) == []
    assert missing(PROTOCOL_SETTINGS, protocol["settings"]) == []
    assert missing(PROTOCOL_FIGURES, protocol["figures"]) == []
    assert missing("value low high", protocol["figures"]["pixel_ap"]) == []
    assert missing(PROTOCOL_SAMPLES, protocol["samples"][0]) == []


@pytest.mark.slow
def test_files_of_a_benchmark_keep_their_names_and_columns(work):
    from PIL import Image

    rng = np.random.default_rng(0)
    for index in range(24):
        path = work / "slices" / ("train" if index < 20 else "val") / f"sub-{index:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(90, 160, (32, 32)).astype(np.uint8)).save(path)
    Image.fromarray(np.full((32, 32), 255, np.uint8)).save(work / "slices/brain_mask.png")
    file, data = (
        work / "tiny.yaml",
        {"slices": str(work / "slices"), "size": 32, "lesions": {"implanted": ["dark"]}},
    )
    file.write_text(json.dumps({"name": "tiny", "data": data, "output": str(work / "out"), "resamples": 10}))
    assert main(["benchmark", str(file)]) == 0
    for name, expected in BENCHMARK_COLUMNS.items():
        assert missing(expected, columns(work / "out" / name)) == []
    names = [path.name for path in (work / "out").iterdir()]
    assert missing("benchmark.yaml costs.csv index.html results.csv table.md", names) == []
