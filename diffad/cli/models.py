"""The commands around stored models: shipped, downloaded, and one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from diffad.cli.options import ModelName
from diffad.cli.talking import talk
from diffad.io.terminal import say, show, tell

if TYPE_CHECKING:
    from rich.table import Table

models_app = typer.Typer(
    help="List, fetch, check and publish models.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
)

HubId = Annotated[str, typer.Argument(metavar="HUB_ID", help="OWNER/NAME on the Hugging Face hub.")]
Revision = Annotated[
    str | None, typer.Option(help="Branch, tag or commit on the hub.", show_default="the newest")
]


def list_models_command() -> None:
    """List models that are here: shipped with the package, and fetched from the hub before.

    \b
    Examples:
      diffad models list
      diffad models list --json
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.predict.model_facts import read_model_facts
    from diffad.predict.model_hub import list_local_models

    rows = []
    for name, folder in list_local_models().items():
        try:
            rows.append({**read_model_facts(str(folder)), "name": name})
        except (ValueError, OSError) as error:
            say(f"warning: passed over the model {name}: {error}")
    show("table", make_table(rows))
    for row in rows:
        show("model", **row)


def make_table(rows: list[dict[str, Any]]) -> Table:
    """Put what models say of themselves into a table."""
    from rich.table import Table

    from diffad.io.terminal import plain_text

    heads = ("name", "modality", "coverage", "size", "licence", "calibrated on")
    table = Table(*heads, title="models", title_justify="left", show_lines=True)
    for row in rows:
        size = f"{row['bytes'] / 1e6:.0f} MB, {row['parameters'] / 1e6:.1f} M weights"
        kind = f"{row['modality']} {', '.join(row['sequences'] or ())}".strip()
        cells = (row["name"], kind, row["coverage"], size, row["licence"] or "not said")
        table.add_row(*map(plain_text, (*cells, row["calibrated_on"] or "nothing yet")))
    return table


def path_command(model: ModelName) -> None:
    """Print the folder of a model that is here.

    \b
    Examples:
      diffad models path ixi-t1-axial
      cp -r "$(diffad models path OWNER/NAME)" /media/stick/model
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.predict.model_hub import find_local_model

    folder = find_local_model(model)
    show("path", str(folder), name=model, path=str(folder))


def verify_command(model: ModelName) -> None:
    """Compare the files of a model with the checksums that were written with them, and print these.

    The exit code is 1 if a file is damaged or missing.

    \b
    Examples:
      diffad models check ixi-t1-axial
      diffad models check models/ours --json
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.io.digests import find_damage
    from diffad.predict.model_facts import read_checksums
    from diffad.predict.model_hub import find_local_model

    folder = find_local_model(model)
    checksums, damage = read_checksums(folder), find_damage(folder)
    for name, digest in checksums.items():
        show("checksum", f"{digest}  {name}", name=name, sha256=digest)
    if damage:
        say(f"failed {model}: {damage}")
    else:
        text = "files are as they were written" if checksums else "no checksums were written with it"
        tell(f"{model}: {text}", name=model, whole=True)
    raise typer.Exit(1 if damage else 0)


def pull_command(
    hub_id: HubId,
    out: Annotated[
        Path | None,
        typer.Option(help="New folder of the model, to carry it elsewhere; the cache of the hub by default."),
    ] = None,
    revision: Revision = None,
) -> None:
    """Fetch a model from the hub and check it: weights as safetensors alone, and no code.

    For a machine without a network, fetch the model elsewhere, carry the folder over, and name it there.

    \b
    Examples:
      diffad models pull OWNER/NAME
      diffad models pull OWNER/NAME --out model                   with a network
      diffad predict scan.nii.gz --model model --out maps         without one, after carrying it over
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.predict.model_hub import pull_model

    folder = pull_model(hub_id, out, revision)
    name = hub_id if out is None else folder
    tell(f"see {folder}; use it with --model {name}", name=hub_id, path=str(folder))


def push_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a pipeline.")],
    hub_id: HubId,
    revision: Revision = None,
    private: Annotated[
        bool, typer.Option("--private", help="Let only you see a repository that is made anew.")
    ] = False,
) -> None:
    """Publish a model on the hub, file by file as it is; log in first with: hf auth login.

    \b
    Examples:
      diffad models push runs/mine/pipeline OWNER/NAME --private
      diffad models push models/ours OWNER/NAME --revision v2
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.predict.model_hub import push_model

    url = push_model(folder, hub_id, revision, private)
    tell(f"published {folder}; see {url}", name=hub_id, url=url)


COMMANDS = (
    ("list", "List models that are here.", list_models_command),
    ("path", "Print the folder of a model.", path_command),
    ("check", "Compare a model with its checksums.", verify_command),
    ("pull", "Fetch a model from the hub.", pull_command),
    ("push", "Publish a model on the hub.", push_command),
)
for _name, _help, _command in COMMANDS:
    models_app.command(_name, short_help=_help)(talk(f"models {_name}", _command))


@models_app.callback()
def models_command() -> None:
    """List, fetch, check and publish models."""
