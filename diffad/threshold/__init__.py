"""Where maps are cut, what healthy scans say about it, and the one number a map is pooled to."""

from diffad.threshold.calibration import Calibration as Calibration
from diffad.threshold.calibration import calibrate_thresholds as calibrate_thresholds
from diffad.threshold.conformal import Survival as Survival
from diffad.threshold.cuts import RATES as RATES
from diffad.threshold.cuts import fixed_threshold as fixed_threshold
from diffad.threshold.cuts import healthy_threshold as healthy_threshold
from diffad.threshold.cuts import otsu as otsu
from diffad.threshold.cuts import values_inside as values_inside
from diffad.threshold.pooling import POOLINGS as POOLINGS
from diffad.threshold.pooling import pool_maps as pool_maps

# the names in scripts of users
calibrate = calibrate_thresholds
fixed = fixed_threshold
inside = values_inside
pool = pool_maps
