"""The gate: does a model reach what the config demands? Pure functions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from components.evaluate.config import RuleSection
from components.evaluate.measured import Interval


@dataclass(frozen=True)
class RuleResult:
    """How one rule came out.

    Attributes:
        bound: "at_least" or "at_most".
        value: what was measured; None where the metric is missing.
        gap: by how much the rule holds; negative: by how much it fails.
        interval: confidence interval of the value, where there is one.
        sentence: the same for a person.
    """

    metric: str
    bound: str
    threshold: float
    value: float | None
    gap: float | None
    interval: Interval | None
    passed: bool
    sentence: str


@dataclass(frozen=True)
class Verdict:
    """Whether every rule holds; without rules a model passes, and the sentence says so."""

    passed: bool
    rules: tuple[RuleResult, ...]
    sentence: str


def judge(
    rules: Sequence[RuleSection],
    metrics: Mapping[str, float],
    intervals: Mapping[str, Interval],
) -> Verdict:
    """Hold the metrics of the test images against the rules. A missing metric fails."""
    if not rules:
        return Verdict(True, (), "Passed: no gate is set (evaluate.gate is empty).")
    results = tuple(_result(rule, metrics, intervals.get(rule.metric)) for rule in rules)
    failed = sum(not result.passed for result in results)
    if failed:
        return Verdict(False, results, f"Not passed: {failed} of {_rules(len(results))} failed.")
    return Verdict(
        True,
        results,
        "Passed: "
        + ("the rule holds." if len(results) == 1 else f"all {len(results)} rules hold."),
    )


def _result(
    rule: RuleSection, metrics: Mapping[str, float], interval: Interval | None
) -> RuleResult:
    least = rule.at_least is not None
    bound = "at_least" if least else "at_most"
    threshold = float((rule.at_least if least else rule.at_most) or 0.0)
    value = metrics.get(rule.metric)
    words = "at least" if least else "at most"
    if value is None or math.isnan(value):
        known = ", ".join(sorted(metrics))
        sentence = (
            f"{rule.metric} was not measured, so the demand of {words} {threshold:g} fails; "
            f"measured: {known}."
        )
        return RuleResult(rule.metric, bound, threshold, None, None, None, False, sentence)
    gap = value - threshold if least else threshold - value
    passed = gap >= 0
    sentence = (
        f"{rule.metric} is {value:.3g}{_interval(interval)}; {words} {threshold:g} is demanded: "
        f"{'holds' if passed else 'fails'} by {abs(gap):.3g}{_doubt(interval, threshold)}."
    )
    return RuleResult(rule.metric, bound, threshold, value, gap, interval, passed, sentence)


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f" ({interval[0]:.3g} to {interval[1]:.3g})"


def _doubt(interval: Interval | None, threshold: float) -> str:
    """Say when other test images could turn the result."""
    if interval is None or not interval[0] < threshold < interval[1]:
        return ""
    return ", within the interval: other images could turn it"


def _rules(count: int) -> str:
    return f"{count} rule" if count == 1 else f"{count} rules"
