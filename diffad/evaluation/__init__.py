"""Metrics: exact, with their definitions written down."""

from diffad.evaluation.metrics import BestDice as BestDice
from diffad.evaluation.metrics import RankCurve as RankCurve
from diffad.evaluation.metrics import auroc as auroc
from diffad.evaluation.metrics import average_precision as average_precision
from diffad.evaluation.metrics import best_dice as best_dice
from diffad.evaluation.metrics import dice as dice
from diffad.evaluation.metrics import false_alarm_rate as false_alarm_rate
