"""Metrics: exact, with their definitions written down; one idea a file."""

from diffad.evaluation.metrics.fidelity import mae as mae
from diffad.evaluation.metrics.fidelity import psnr as psnr
from diffad.evaluation.metrics.fidelity import ssim as ssim
from diffad.evaluation.metrics.histogram import RankHistogram as RankHistogram
from diffad.evaluation.metrics.lesions import LesionCounts as LesionCounts
from diffad.evaluation.metrics.lesions import lesion_wise as lesion_wise
from diffad.evaluation.metrics.overlap import Counts as Counts
from diffad.evaluation.metrics.pooling import pool as pool
from diffad.evaluation.metrics.pro import ProCurve as ProCurve
from diffad.evaluation.metrics.pro import ProHistogram as ProHistogram
from diffad.evaluation.metrics.pro import aupro as aupro
from diffad.evaluation.metrics.ranking import BestDice as BestDice
from diffad.evaluation.metrics.ranking import RankCurve as RankCurve
from diffad.evaluation.metrics.ranking import auroc as auroc
from diffad.evaluation.metrics.ranking import average_precision as average_precision
from diffad.evaluation.metrics.ranking import best_dice as best_dice
from diffad.evaluation.metrics.ranking import dice as dice
from diffad.evaluation.metrics.ranking import false_alarm_rate as false_alarm_rate
from diffad.evaluation.metrics.reliability import expected_calibration_error as expected_calibration_error
from diffad.evaluation.metrics.surface import hd95 as hd95
from diffad.evaluation.metrics.surface import surface_dice as surface_dice
from diffad.evaluation.metrics.thresholds import DiceThreshold as DiceThreshold
