"""A tiny Stable Diffusion, in memory and as a folder."""

import pytest

from tests.helpers.prediction import model as model


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
