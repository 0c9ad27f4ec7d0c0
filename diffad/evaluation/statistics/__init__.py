"""How certain a metric is, and whether two methods differ."""

from diffad.evaluation.statistics.bootstrap import interval as interval
from diffad.evaluation.statistics.bootstrap import mean_interval as mean_interval
from diffad.evaluation.statistics.bootstrap import pooled_interval as pooled_interval
from diffad.evaluation.statistics.paired import PairedComparison as PairedComparison
from diffad.evaluation.statistics.paired import compare_paired as compare_paired
from diffad.evaluation.statistics.paired import holm as holm
from diffad.evaluation.statistics.ranks import Friedman as Friedman
from diffad.evaluation.statistics.ranks import cliques as cliques
from diffad.evaluation.statistics.ranks import friedman as friedman
from diffad.evaluation.statistics.seeds import summarise_seeds as summarise_seeds
