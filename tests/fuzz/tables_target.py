"""Tables from strangers: cells, delimiters, quotes, line ends and encodings mutated, for every reader."""

import csv
import io
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from diffad.data.labels import LabelRule, read_labels
from diffad.data.scan_files import ScanRules
from diffad.data.scan_listing import list_splits
from diffad.data.splits import SHARES
from diffad.io.escape import format_csv
from diffad.predict.index import write_cohort
from diffad.predict.results import COLUMNS, ResultRow, Results
from diffad.registry import LAYOUTS
from tests.fuzz.mutations import mutate_bytes
from tests.fuzz.pool import WrongResultError
from tests.helpers import trees

CELLS = (
    "", " ", "0", "1", "-1", "nan", "inf", "1e400", "9" * 5000, "x", "healthy", "tumour", "train", "val",
    "test", "\0", "\x1b[2J", "=1+1", "@x", "a\nb", "a\rb", '"', '""', 'a"b', "'", ",", ";", "\t", "é", "²",
    "\ud7ff", "../../etc", "/dev/zero", "/dev/stdin", "..", ".", "a" * 300, "a" * 90_000, "a" * 200_000,
    "<script>", "[red]x", "٣",
)  # fmt: skip
FORMS = {
    "bom": lambda text: b"\xef\xbb\xbf" + text.encode(),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-32": lambda text: text.encode("utf-32"),
    "latin-1": lambda text: text.encode("latin-1", "replace") + b"\xe9\xff",
    "semicolons": lambda text: text.replace(",", ";").encode(),
    "tabs": lambda text: text.replace(",", "\t").encode(),
    "cr": lambda text: text.replace("\r\n", "\n").replace("\n", "\r").encode(),
    "nel": lambda text: text.replace("\n", "\x85").encode(),
    "crlf twice": lambda text: text.replace("\n", "\r\r\n").encode(),
    "open quote": lambda text: text.replace(",", ',"', 1).encode(),
    "one line": lambda text: text.replace("\r\n", "\n").replace("\n", ",").encode(),
    "empty": lambda text: b"",
    "columns": lambda text: ("a," * 100_000 + text).encode(),
    "same columns": lambda text: ("path," * 1000 + text).encode(),
    "surplus": lambda text: text.replace("\n", "," * 20_000 + "\n").encode(),
    "rows": lambda text: (text + text.splitlines()[-1] + "\n").encode() * 300,
    "many rows": lambda text: (text.splitlines()[0] + "\n" + "a,b,c\n" * 50_000).encode(),
    "blank rows": lambda text: text.replace("\n", "\n" * 1000).encode(),
}
LABELS = [["file", "subject", "label"], ["a.nii.gz", "A", "healthy"], ["b.nii.gz", "B", "tumour"]]
SCANS = [
    ["path", "subject", "mask", "split"],
    ["a.nii.gz", "A", "m.nii.gz", "train"],
    ["b.nii.gz", "B", "", "val"],
]
PLAIN = [
    ["path", "sequence", "subject", "lesion", "brain", "split", "label", "group", "positive", "ignored"],
    ["a.nii.gz", "t1", "A", "m.nii.gz", "m.nii.gz", "test", "1", "g", "1 2", "3"],
    ["b.nii.gz", "t1", "B", "", "", "train", "0", "", "", ""],
]


def read_results(folder):
    """Read the table of results, add a row, and expect all rows back."""
    results = Results(folder / "results.csv")
    before = dict(results.rows)
    results.add(ResultRow("new", "ok", 0.5, 1.0, 0.3))
    write_cohort(folder, [], results.rows)
    after = Results(folder / "results.csv").rows
    if {name: row for name, row in after.items() if name != "new"} != {
        name: row for name, row in before.items() if name != "new"
    }:
        raise WrongResultError("rows of the table changed by adding another")


def read_label_table(folder):
    """Read the labels of two scans."""
    files = [[folder / "a.nii.gz"], [folder / "b.nii.gz"]]
    read_labels(LabelRule(table=folder / "labels.csv"), files, ["A", "B"], folder, "train")


def read_scan_table(folder):
    """Split the scans of a table."""
    rules = ScanRules("**/*.nii*", None, None)
    list_splits(folder, rules, folder / "scans.csv", SHARES, 0, "train")


def read_layout(name):
    """Return what lists the entries of a layout."""
    return lambda folder: check_listing(LAYOUTS.build(name).entries(folder))


def check_listing(listing):
    """Refuse problems that would fill a terminal."""
    if long_lines := [line for line in listing.problems if len(line) > 2000]:
        raise WrongResultError(f"a problem of {len(long_lines[0])} characters: {long_lines[0][:200]}")
    return bool(listing.problems)


def make_scans(folder):
    """Write two scans, a mask, and all tables of scans."""
    for name in ("a", "b", "m"):
        trees.nifti(folder / f"{name}.nii.gz", labels=(0, 1) if name == "m" else None)


def make_isic(folder):
    """Write the pictures and the table of ISIC 2018."""
    for part in ("Training", "Test"):
        trees.table(
            folder / f"ISIC2018_Task3_{part}_GroundTruth/t.csv",
            ["image", "NV"],
            [["i1", "1.0"], ["i2", "0.0"]],
        )
        for name in ("i1", "i2"):
            write_picture(folder / f"ISIC2018_Task3_{part}_Input" / f"{name}.jpg")


def make_bercea(folder):
    """Write pictures and the tables of their names."""
    for name in ("file_1", "file_2"):
        write_picture(folder / f"data/brain_mid_png/{name}.png")
    trees.table(folder / "splits/normal_train.csv", ["filename"], [["./data/brain_mid_png/file_1.png"]])
    trees.table(folder / "splits/mass.csv", ["filename"], [["./data/brain_mid_png/file_2.png"]])


def make_fastmri(folder):
    """Write a scan and its boxes."""
    trees.nifti(folder / "file_brain_1.nii.gz")
    columns = ["file", "slice", "study_level", "x", "y", "width", "height", "label"]
    rows = [
        ["file_brain_1", 0, "No", 1, 2, 3, 4, "Mass"],
        ["file_brain_1", 1, "Yes", "", "", "", "", "Normal"],
    ]
    trees.table(folder / "Annotations/brain.csv", columns, rows)


def make_ixi(folder):
    """Write scans and the table of their subjects."""
    trees.ixi(folder)
    trees.table(folder / "IXI.csv", ["IXI_ID", "AGE"], [["2", "35"], ["12", "40"]])


def write_picture(path):
    """Write a small grey picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(path)


TABLES = (
    ("results.csv", None, read_results),
    ("labels.csv", LABELS, read_label_table),
    ("scans.csv", SCANS, read_scan_table),
    ("table.csv", PLAIN, read_layout("table")),
    ("ISIC2018_Task3_Training_GroundTruth/t.csv", make_isic, read_layout("medianomaly_isic")),
    ("splits/mass.csv", make_bercea, read_layout("bercea")),
    ("splits/IXI_train_fold0.csv", trees.behrendt, read_layout("behrendt")),
    ("Annotations/brain.csv", make_fastmri, read_layout("fastmri_plus")),
    ("IXI.csv", make_ixi, read_layout("ixi")),
)
"""File, its rows or what makes its folder, and its reader."""


class TablesTarget:
    """Each table that diffad reads."""

    names_file = True

    def prepare(self):
        """Make the folder of each table once, and read it."""
        self.base = tempfile.TemporaryDirectory(prefix="diffad-fuzz-tables-")
        for number, (name, rows, read) in enumerate(TABLES):
            folder = Path(self.base.name) / str(number)
            folder.mkdir()
            if callable(rows):
                rows(folder)
            else:
                make_scans(folder)
                (folder / name).write_text(_format(rows), newline="")
            read(folder)

    def mutate(self, rng, folder):
        """Write one table with all that lies beside it, and mutate it."""
        number = rng.randrange(len(TABLES))
        name = TABLES[number][0]
        shutil.copytree(Path(self.base.name) / str(number), folder, dirs_exist_ok=True)
        content, change = _mutate_table(rng, (folder / name).read_bytes())
        (folder / name).write_bytes(content)
        (folder / name).parent.joinpath("index.html").unlink(missing_ok=True)
        self.read = TABLES[number][2]
        return f"{name}: {change}"

    def feed(self, folder):
        """Read the table."""
        return self.read(folder)


def _format(rows):
    if rows is None:
        row = {"scan": "s", "status": "ok", "score": "0.5", "volume_ml": "2", "threshold": "0.3"}
        return format_csv(
            COLUMNS, [{**dict.fromkeys(COLUMNS, ""), **row, "scan": name} for name in ("s", "=t")]
        )
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _mutate_table(rng, content):
    kind = rng.choice(("cell", "cell", "cell", "cell", "form", "form", "raw cell", "bytes", "drop"))
    text = content.decode()
    if kind == "bytes":
        return mutate_bytes(rng, content)
    if kind == "form":
        name = rng.choice(list(FORMS))
        return FORMS[name](text), name
    rows = list(csv.reader(io.StringIO(text, newline="")))
    row = rng.choice(rows)
    cell, column = rng.choice(CELLS), rng.randrange(len(row))
    if kind == "drop":
        if rng.random() < 0.5:
            row.pop(column)
        else:
            rows.remove(row)
    else:
        row[column] = cell
    if kind == "raw cell":
        return "\n".join(",".join(row) for row in rows).encode(
            "utf-8", "surrogatepass"
        ), f"unquoted {cell[:30]!r}"
    text = io.StringIO()
    csv.writer(text, lineterminator=rng.choice(("\n", "\r\n")), quoting=rng.choice((0, 1))).writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass"), f"{kind} {column}: {cell[:30]!r}"
