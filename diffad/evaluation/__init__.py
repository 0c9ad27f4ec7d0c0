"""Metrics, statistics and protocols: exact, with their definitions written down."""

from diffad.evaluation.metrics import BestDice as BestDice
from diffad.evaluation.metrics import Counts as Counts
from diffad.evaluation.metrics import DiceThreshold as DiceThreshold
from diffad.evaluation.metrics import LesionCounts as LesionCounts
from diffad.evaluation.metrics import ProCurve as ProCurve
from diffad.evaluation.metrics import ProHistogram as ProHistogram
from diffad.evaluation.metrics import RankCurve as RankCurve
from diffad.evaluation.metrics import RankHistogram as RankHistogram
from diffad.evaluation.metrics import aupro as aupro
from diffad.evaluation.metrics import auroc as auroc
from diffad.evaluation.metrics import average_precision as average_precision
from diffad.evaluation.metrics import best_dice as best_dice
from diffad.evaluation.metrics import dice as dice
from diffad.evaluation.metrics import expected_calibration_error as expected_calibration_error
from diffad.evaluation.metrics import false_alarm_rate as false_alarm_rate
from diffad.evaluation.metrics import hd95 as hd95
from diffad.evaluation.metrics import lesion_wise as lesion_wise
from diffad.evaluation.metrics import mae as mae
from diffad.evaluation.metrics import pool as pool
from diffad.evaluation.metrics import psnr as psnr
from diffad.evaluation.metrics import ssim as ssim
from diffad.evaluation.metrics import surface_dice as surface_dice

Cut = DiceThreshold  # the name in scripts of users
