"""Experiments as frozen dataclasses: to dicts, to YAML and back."""

from diffad.config.experiment import CONTRAST_PARTS as CONTRAST_PARTS
from diffad.config.experiment import CONTRASTS as CONTRASTS
from diffad.config.experiment import TASKS as TASKS
from diffad.config.experiment import Config as Config
from diffad.config.experiment import list_configs as list_configs
from diffad.config.experiment import load as load
from diffad.config.postprocess import PostprocessConfig as PostprocessConfig
from diffad.config.schedule import ScheduleConfig as ScheduleConfig
from diffad.config.schema import ConfigError as ConfigError
from diffad.config.schema import PartSpec as PartSpec
from diffad.config.schema import from_dict as from_dict
from diffad.config.schema import to_dict as to_dict
from diffad.config.space import SpaceConfig as SpaceConfig
from diffad.config.training import NetworksConfig as NetworksConfig
from diffad.config.training import TrainConfig as TrainConfig
from diffad.config.variety import AugmentConfig as AugmentConfig
from diffad.config.variety import CorruptConfig as CorruptConfig

shipped = list_configs  # the name in scripts of users
