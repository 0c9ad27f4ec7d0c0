import sys

import pytest

pytest.importorskip("nilearn")

from PIL import Image

from diffad.cli import main


def test_command_makes_a_set_and_a_picture_and_says_where(tmp_path, capsys):
    out, picture = tmp_path / "set", tmp_path / "sheet.png"
    words = ["phantom", "--out", str(out), "--subjects", "2", "--lesioned", "0.5", "--lesions", "haemorrhage"]
    words += ["--spacing", "8", "--modality", "t1,ct", "--picture", str(picture)]
    assert main(words) == 0
    told = capsys.readouterr()
    assert told.out.startswith("made 2 phantoms, 1 of them lesioned; see ")
    assert told.err == ""
    image = Image.open(picture)
    assert image.width > 500
    assert len(set(image.convert("L").get_flattened_data())) > 50
    assert main(words) == 0
    assert "made 0 phantoms, 0 of them lesioned, 2 were there" in capsys.readouterr().out
    assert main([*words, "--seed", "1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--modality", "pet"], "got pet"),
        (["--modality", ""], "got none"),
        (["--lesions", "cyst"], "got cyst"),
    ],
)
def test_unknown_words_are_one_line_and_leave_nothing(tmp_path, capsys, words, message):
    assert main(["phantom", "--out", str(tmp_path / "set"), *words]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_picture_must_be_a_png(tmp_path, capsys):
    assert main(["phantom", "--out", str(tmp_path / "set"), "--picture", "sheet.jpg"]) == 2
    assert not (tmp_path / "set").exists()


def test_missing_nilearn_is_told_with_what_to_install(tmp_path, capsys, monkeypatch):
    from diffad.data.phantom import anatomy

    for cached in (anatomy._load_template, anatomy.load_tissues, anatomy.load_head):
        monkeypatch.setattr(anatomy, cached.__name__, cached.__wrapped__)
    monkeypatch.setattr("diffad.data.phantom.person.load_tissues", anatomy.load_tissues)
    monkeypatch.setitem(sys.modules, "nilearn", None)
    assert main(["phantom", "--out", str(tmp_path / "set"), "--spacing", "8"]) == 1
    assert capsys.readouterr().err.endswith("pip install 'diffad[demo]'\n")
