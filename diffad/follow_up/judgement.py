"""Whether a change is one: what became of a finding, held against what re-scanning alone gives."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diffad.follow_up.noise import RescanNoise
from diffad.follow_up.noise_bins import Finding, size_pair

STATUSES = ("new", "gone", "grown", "shrunk", "stable", "not judged", "not analysed")
"""What becomes of a finding: the last two are findings of both visits without a known noise, and findings
whose place was not analysed at both visits."""


@dataclass(frozen=True)
class Judgement:
    """What is said of a pair of volumes.

    Args:
        status: One of ``STATUSES``.
        beyond_noise: Whether re-scanning hardly gives it; none if unknown.
        noise_percent: Growth that 95 % of re-scans stay below, in percent; none if unknown.
        noise_lost: Share of findings that re-scanning loses; none if unknown.
        noise_map_change: Change of the map that 95 % of them stay below; none if unknown.
    """

    status: str
    beyond_noise: bool | None = None
    noise_percent: float | None = None
    noise_lost: float | None = None
    noise_map_change: float | None = None


def judge_finding(finding: Finding, noise: RescanNoise | None, in_view: bool = True) -> Judgement:
    r"""Say what became of a finding.

    One of both visits has grown or shrunk only if :math:`|\log(v_2 / v_1)|` is above what 95 % of re-scans of
    findings of that size stay below. One of a single visit is beyond noise only if the change of the map in
    it is above that of 95 % of the findings that one of two re-scans has and the other has not.

    Args:
        finding: Volumes :math:`v_1, v_2` at both visits, and how the map changed.
        noise: What re-scanning does; none where nobody knows.
        in_view: Whether both visits were analysed there.
    """
    first_ml, second_ml = finding.pair
    if not in_view:
        return Judgement("not analysed")
    if first_ml == second_ml:
        return Judgement("stable", False)
    status = ("gone" if first_ml else "new") if finding.is_lone else "not judged"
    if noise is None:
        return Judgement(status)
    size_bin = noise.find_bin(size_pair(finding.pair))
    loss_share = round(size_bin.loss_share, 4) if size_bin.findings else None
    figures = (round(100 * math.expm1(size_bin.log_limit), 1), loss_share, noise.lone_limit)
    if finding.is_lone:
        limit = noise.lone_limit
        return Judgement(status, None if limit is None else abs(finding.map_change) > limit, *figures)
    log_ratio = math.log(second_ml / first_ml)
    is_beyond = abs(log_ratio) > size_bin.log_limit
    status = ("grown" if log_ratio > 0 else "shrunk") if is_beyond else "stable"
    return Judgement(status, is_beyond, *figures)
