"""Thresholds of maps, what healthy scans say about them, and the one number that a map is pooled to."""

from diffad.threshold.calibration import Calibration as Calibration
from diffad.threshold.calibration import calibrate_thresholds as calibrate_thresholds
from diffad.threshold.conformal import Survival as Survival
from diffad.threshold.pooling import POOLINGS as POOLINGS
from diffad.threshold.pooling import pool_maps as pool_maps
from diffad.threshold.rules import RATES as RATES
from diffad.threshold.rules import check_threshold as check_threshold
from diffad.threshold.rules import healthy_threshold as healthy_threshold
from diffad.threshold.rules import otsu as otsu
from diffad.threshold.rules import select_values as select_values

# the names in scripts of users
calibrate = calibrate_thresholds
fixed = check_threshold
inside = select_values
pool = pool_maps
