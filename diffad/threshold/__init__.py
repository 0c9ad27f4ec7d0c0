"""Where maps are cut, what healthy scans say about it, and the one number a map is pooled to."""

from diffad.threshold.calibration import Calibration as Calibration
from diffad.threshold.calibration import calibrate as calibrate
from diffad.threshold.conformal import Survival as Survival
from diffad.threshold.cuts import RATES as RATES
from diffad.threshold.cuts import fixed as fixed
from diffad.threshold.cuts import healthy_threshold as healthy_threshold
from diffad.threshold.cuts import inside as inside
from diffad.threshold.cuts import otsu as otsu
from diffad.threshold.pooling import POOLINGS as POOLINGS
from diffad.threshold.pooling import pool as pool
