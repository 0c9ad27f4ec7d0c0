"""Make a pipeline of the newest checkpoint of a run that goes on, not calibrated, to look at it meanwhile.

python tests/timings/export_checkpoint.py CONFIG OUT [key=value ...]

The run's folder is copied first, as a training that is at work holds it.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from diffad import AnomalyPipeline
from diffad.config import Config, load, to_dict
from diffad.training.export import save_pipeline
from diffad.training.journal import make_accelerator
from diffad.training.trainer import Trainer


def main(source, out, *changes):
    """Export the averaged weights of the newest checkpoint."""
    config = load(source, changes)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(config.output) / config.name / "checkpoints"
        shutil.copytree(run, Path(folder) / config.name / "checkpoints")
        trainer = resume(load(source, [*changes, f"output={folder}"]))
        print(f"{save_pipeline(build_pipeline(trainer, config), Path(out))}: step {trainer.step}")


def resume(config: Config) -> Trainer:
    """Read the newest checkpoint."""
    trainer = Trainer(config, make_accelerator(config))
    if not trainer.resume():
        raise SystemExit(f"{config.name}: expected a checkpoint, found none")
    return trainer


def build_pipeline(trainer: Trainer, config: Config) -> AnomalyPipeline:
    """Put the averaged network together with the method of its config."""
    parts = {key: getattr(config, key) for key in ("sampler", "score", "guidance")}
    return AnomalyPipeline(
        trainer.refresh_ema_network(),
        trainer.scheduler,
        noise=config.sampling_noise or config.noise,
        space=to_dict(config.space),
        postprocess=to_dict(config.postprocess) | {"normalise": "none"},
        provenance={"name": config.name, "steps": trainer.step},
        **parts,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
