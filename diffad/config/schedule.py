"""The section of a config about the noise schedule."""

from __future__ import annotations

from dataclasses import dataclass

from diffad.config.schema import check_choice, check_range, expect

BETA_SCHEDULES = ("linear", "scaled_linear", "squaredcos_cap_v2", "sigmoid")


@dataclass(frozen=True)
class ScheduleConfig:
    """Options of the diffusers scheduler that is saved with the model.

    Args:
        num_train_timesteps: Levels.
        beta_start: Noise variance of the first step, in diffusion.
        beta_end: Noise variance of the last.
        beta_schedule: How it grows in between.
        prediction_type: What the network predicts; "flow" is the velocity on straight paths from the scan to
            the noise, which have no variances; "cold" is the image on the way to a damaged one, whose
            severities are the amplitudes of the signal, read from the last level on.
    """

    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    prediction_type: str = "epsilon"

    def __post_init__(self) -> None:
        check_range(self, "schedule", "[1, 10000]", "num_train_timesteps")
        check_range(self, "schedule", "(0, 1)", "beta_start", "beta_end")
        check_choice(self, "schedule", "beta_schedule", *BETA_SCHEDULES)
        kinds = ("epsilon", "v_prediction", "sample", "flow", "cold")
        check_choice(self, "schedule", "prediction_type", *kinds)
        own = (self.beta_start, self.beta_end, self.beta_schedule)
        is_plain = self.prediction_type != "flow" or own == (1e-4, 0.02, "linear")
        expect(is_plain, "schedule", "no beta_start, beta_end or beta_schedule for straight paths", own)
