"""An engine answers as torch does, or says in one sentence why it cannot."""

import importlib
import json
from pathlib import Path

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.engines import Engine, EngineError
from diffad.engines import engine as engines
from diffad.engines.core import find_core, make_inputs, swap_core
from diffad.engines.export import name_export
from diffad.engines.exports import RECORD, choose_folder, hash_network
from diffad.models.pretrained import list_shipped_models
from diffad.models.unet2d import UNet2D
from diffad.registry import MODELS
from tests.test_pipeline import images, make

UNET = {"channels": (8, 16), "groups": 4, "layers": 1}
TOKENS = {"patch": 4, "width": 24, "depth": 2, "heads": 3, "grid": 3}
NETWORKS = {
    "place": ("unet2d", {**UNET, "patch": 2, "place": True, "marks": True}, {}),
    "conditions": ("unet2d", {**UNET, "embedding": 3, "neighbours": 1}, {"embedding": 3, "neighbours": 2}),
    "adm": ("adm", {"base": 8, "mults": (1, 2), "layers": 1, "groups": 4, "attention": (2,)}, {}),
    "classes": (
        "adm",
        {
            "base": 8,
            "mults": (1, 2),
            "layers": 1,
            "groups": 4,
            "resample": "convolution",
            "classes": 2,
            "learned_variance": True,
        },
        {},
    ),
    "dit": ("dit", {**TOKENS, "embedding": 3}, {"embedding": 3}),
    "dtunet": ("dtunet", {**TOKENS, "neighbours": 1}, {"neighbours": 2}),
    "uvit": ("uvit", {**TOKENS, "embedding": 3}, {"embedding": 3}),
    "volumes": ("unet3d", UNET, {}),
    "labelled": ("labelled", {"backbone": {"name": "unet2d", **UNET}, "width": 4}, {}),
}


def build(key):
    name, options, _ = NETWORKS[key]
    torch.manual_seed(0)
    network = MODELS.build(name, **options).eval()
    for weights in network.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    return network


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFAD_CACHE", str(tmp_path / "cache"))


def call(network, key, batch, sides):
    generator = torch.Generator().manual_seed(batch)
    axes = 3 if key == "volumes" else 2
    shape = sides[:axes]
    cond = {}
    for name, width in NETWORKS[key][2].items():
        rest = shape if name == "neighbours" else ()
        cond[name] = torch.randn(batch, width, *rest, generator=generator)
    if key == "place":
        cond["place"] = torch.stack([torch.full((batch,), 2.0), torch.linspace(0, 1, batch)], 1)
    if key in ("labelled", "classes"):
        cond["y"] = torch.zeros(batch, dtype=torch.long)
    x = torch.randn(batch, 1, *shape, generator=generator)
    with torch.no_grad():
        return network(x, torch.arange(batch) * 7, **cond)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        *((key, "onnx") for key in NETWORKS),
        ("place", "openvino"),
        *(pytest.param(key, "openvino", marks=pytest.mark.slow) for key in NETWORKS if key != "place"),
    ],
)
def test_engine_answers_as_torch_at_any_batch_and_size(key, name):
    network = build(key)
    bound = Engine(name).bind(network, "fp32", 4)
    for batch, sides in ((1, (8, 12, 8)), (3, (16, 8, 8)), (5, (18, 13, 9))):
        expected = call(network, key, batch, sides)
        assert expected.std() > 0.01
        assert (call(bound, key, batch, sides) - expected).abs().max() < 1e-4 * max(1, expected.abs().max())


def test_network_itself_keeps_its_core_and_its_weights():
    network = build("labelled")
    twin = swap_core(network, find_core(network), lambda x, *rest: torch.zeros_like(x))
    assert float(call(twin, "labelled", 2, (8, 8)).abs().max()) == 0
    assert float(call(network, "labelled", 2, (8, 8)).abs().max()) > 0
    assert hash_network(twin) == hash_network(network)


@pytest.mark.parametrize("name", ["dae", "classifier"])
def test_network_without_a_core_is_refused_by_name(name):
    network = MODELS.build(name)
    with pytest.raises(EngineError, match=f"got {type(network).__name__}, which has none"):
        Engine("onnx").bind(network, "fp32", 4)


def test_layer_that_cannot_be_exported_is_refused_by_name():
    network = build("place")

    class Odd(UNet2D):
        def run_core(self, x, labels, vector=None):
            answer = super().run_core(x, labels, vector)
            return answer if len(x) < 5 else answer + 1

    network.__class__ = Odd
    with pytest.raises(EngineError, match="Odd cannot be exported for onnx: its answers differ"):
        Engine("onnx").bind(network, "fp32", 4)


@pytest.mark.parametrize(("name", "module"), [("openvino", "openvino"), ("onnx", "onnx")])
def test_absent_package_is_one_sentence_with_the_extra(name, module, monkeypatch):
    original = importlib.import_module

    def refuse(wanted):
        if wanted == module:
            raise ImportError(f"No module named {wanted!r}")
        return original(wanted)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(ImportError, match=rf'engine {name}: .* pip install "diffad\[{name}\]"'):
        Engine(name).bind(build("place"), "fp32", 4)


def test_unknown_engine_and_format_are_refused():
    with pytest.raises(ValueError, match="engine: expected one of torch, compile, openvino, onnx, got 'tpu'"):
        Engine("tpu")
    with pytest.raises(EngineError, match="expected one of fp32, int8 for the engine onnx, got 'bf16'"):
        Engine("onnx").bind(build("place"), "bf16", 4)
    with pytest.raises(EngineError, match="engine torch, got 'int8'"):
        Engine("torch").bind(build("place"), "int8", 4)


# Exports


def stored(tmp_path, **options):
    pipe = make(UNet2D(**UNET, attention=False), **options)
    torch.nn.init.normal_(pipe.network.unet.conv_out.weight, std=0.2)
    pipe.save_pretrained(tmp_path / "model")
    return AnomalyPipeline.from_pretrained(tmp_path / "model", engine="onnx")


def test_export_lies_beside_the_model_and_is_made_once(tmp_path):
    pipe = stored(tmp_path)
    pipe(images(), precision="fp32")
    folder = tmp_path / "model" / "engines" / "onnx-fp32"
    record = json.loads((folder / RECORD).read_text())
    assert record["network"] == hash_network(pipe.network)
    assert {"model.onnx"} == set(record["files"])
    before = (folder / RECORD).stat().st_mtime_ns
    again = AnomalyPipeline.from_pretrained(tmp_path / "model", engine="onnx")
    again(images(), precision="auto")
    assert (folder / RECORD).stat().st_mtime_ns == before


def test_models_that_take_no_files_have_their_exports_in_the_cache(tmp_path, monkeypatch):
    shipped = next(iter(list_shipped_models().values()))
    cache = tmp_path / "cache" / "engines"
    assert choose_folder(shipped, "abc").parent == cache
    assert choose_folder(None, "abc").parent == cache
    (tmp_path / "model").mkdir()
    assert choose_folder(tmp_path / "model", "abc") == tmp_path / "model" / "engines"
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert choose_folder(tmp_path / "model", "abc").parent == cache


def test_export_of_other_weights_is_made_again(tmp_path, capsys):
    pipe = stored(tmp_path)
    first = pipe(images(), precision="fp32").anomaly_map
    with torch.no_grad():
        pipe.network.unet.conv_out.weight.mul_(-2)
    again = pipe.to_engine("onnx")(images(), precision="fp32").anomaly_map
    expected = pipe.to_engine("torch")(images(), precision="fp32").anomaly_map
    assert "is of other weights than the model's: it is made again" in capsys.readouterr().err
    assert (again - expected).abs().max() < 1e-4
    assert (again - first).abs().max() > 1e-2


def test_damaged_export_is_made_again(tmp_path, capsys):
    pipe = stored(tmp_path)
    expected = pipe(images(), precision="fp32").anomaly_map
    path = tmp_path / "model" / "engines" / "onnx-fp32" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-4] + b"xxxx")
    again = pipe.to_engine("onnx")(images(), precision="fp32").anomaly_map
    assert "model.onnx is not what was written, by its checksum: it is made again" in capsys.readouterr().err
    assert torch.equal(again, expected)


def test_int8_without_ranges_says_how_to_measure_them(tmp_path):
    pipe = stored(tmp_path).to_engine("compile")
    command = "diffad export .*model --to compile --precision int8 --scans FOLDER"
    with pytest.raises(EngineError, match=f"expected an export in int8, found none; .*{command}"):
        pipe(images(), precision="int8")


# Pipelines


def test_pipeline_gives_the_same_maps_and_says_what_made_them(tmp_path):
    pipe = stored(tmp_path)
    found = pipe(images(), precision="fp32")
    expected = pipe.to_engine("torch")(images(), precision="fp32")
    assert found.info["engine"] == "onnx"
    assert expected.info["engine"] == "torch"
    assert expected.anomaly_map.max() > 0.01
    assert (found.anomaly_map - expected.anomaly_map).abs().max() < 1e-4


def test_auto_precision_is_what_the_engine_has(tmp_path):
    pipe = stored(tmp_path).to_engine("onnx")
    assert pipe(images(), precision="auto").info["precision"] == "fp32"


def test_maps_far_from_those_of_thresholds_are_warned_of(tmp_path):
    engine = Engine("compile")
    engine._records["int8"] = {"difference_share": 0.25}
    (text,) = engine.list_warnings("int8")
    assert "differ from those of torch by 25% of the model's threshold" in text
    engine._records["int8"] = {"difference_share": engines.TOLERANCE}
    assert engine.list_warnings("int8") == []


def test_view_of_a_contrast_has_the_engine_of_its_pipeline(tmp_path):
    pipe = make(contrasts={"T2": {"score": {"name": "l2"}}}).to_engine("onnx")
    assert pipe.adapt_to("T2") is not pipe
    assert pipe.adapt_to("T2").engine is pipe.engine
    assert pipe.adapt_to("T2").memory is pipe.memory


def test_names_of_exports():
    assert name_export("openvino", "bf16") == name_export("openvino", "fp32") == "openvino-fp32"
    assert name_export("onnx", "int8") == "onnx-int8"


def test_made_up_inputs_are_those_of_the_network():
    inputs = make_inputs(build("place"), "", batch=3, scale=2)
    assert [tuple(value.shape) for value in inputs] == [(3, 4, 4, 6), (3,), (3, 32)]
    assert Path(RECORD).suffix == ".json"
