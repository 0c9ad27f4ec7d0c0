"""How well a model represents what is normal: components as published, and aggregates of our own.

The published release computes the components of three indices and not the indices. What is called
``..._proposed`` here is ours, and agrees with the published figures in range and order only.
"""

from diffad.evaluation.normative.combined import ahi_proposed as ahi_proposed
from diffad.evaluation.normative.combined import caci_proposed as caci_proposed
from diffad.evaluation.normative.combined import combine_scores as combine_scores
from diffad.evaluation.normative.combined import rqi_proposed as rqi_proposed
from diffad.evaluation.normative.components import Conservation as Conservation
from diffad.evaluation.normative.components import Healthiness as Healthiness
from diffad.evaluation.normative.components import RestorationQuality as RestorationQuality
from diffad.evaluation.normative.components import measure_conservation as measure_conservation
from diffad.evaluation.normative.components import measure_healthiness as measure_healthiness
from diffad.evaluation.normative.components import measure_restoration as measure_restoration
from diffad.evaluation.normative.evaluate import NormativeSet as NormativeSet
from diffad.evaluation.normative.features import alexnet_features as alexnet_features
from diffad.evaluation.normative.frechet import frechet as frechet
from diffad.evaluation.normative.frechet import kid as kid
from diffad.evaluation.normative.localised import Localisation as Localisation
from diffad.evaluation.normative.localised import measure_localisation as measure_localisation
from diffad.evaluation.normative.perception import lpips as lpips
from diffad.evaluation.normative.perception import lpips_map as lpips_map
