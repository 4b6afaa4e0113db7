"""The gate."""

import pytest

from components.evaluate.config import RuleSection
from components.evaluate.gate import judge


@pytest.mark.parametrize(
    ("rule", "passed", "gap"),
    [
        ({"metric": "ap", "at_least": 0.75}, True, 0.05),
        ({"metric": "ap", "at_least": 0.8}, True, 0.0),
        ({"metric": "ap", "at_least": 0.9}, False, -0.1),
        ({"metric": "rmse", "at_most": 1.5}, True, 0.3),
        ({"metric": "rmse", "at_most": 1.0}, False, -0.2),
        ({"metric": "bias", "at_most": 0}, True, 0.5),
        ({"metric": "bias", "at_least": 0}, False, -0.5),
    ],
)
def test_rules(rule: dict[str, object], passed: bool, gap: float) -> None:
    metrics = {"ap": 0.8, "rmse": 1.2, "bias": -0.5}
    verdict = judge([RuleSection.model_validate(rule)], metrics, {})
    (result,) = verdict.rules
    assert verdict.passed is result.passed is passed
    assert result.gap == pytest.approx(gap)
    assert result.value == metrics[str(rule["metric"])]
    assert ("holds by" in result.sentence) is passed


@pytest.mark.parametrize("metrics", [{"accuracy": 1.0}, {"ap": float("nan")}, {}])
def test_a_missing_metric_fails_and_says_so(metrics: dict[str, float]) -> None:
    verdict = judge([RuleSection(metric="ap", at_least=0.0)], metrics, {})
    (result,) = verdict.rules
    assert not verdict.passed
    assert (result.value, result.gap) == (None, None)
    assert "ap was not measured" in result.sentence


def test_one_failing_rule_fails_the_model() -> None:
    rules = [RuleSection(metric="ap", at_least=0.5), RuleSection(metric="ap", at_least=0.9)]
    verdict = judge(rules, {"ap": 0.8}, {})
    assert not verdict.passed
    assert verdict.sentence == "Not passed: 1 of 2 rules failed."


def test_no_rules_pass_with_a_sentence() -> None:
    verdict = judge([], {"ap": 0.1}, {})
    assert verdict.passed
    assert "no gate is set" in verdict.sentence


@pytest.mark.parametrize(("interval", "doubt"), [((0.7, 0.9), True), ((0.78, 0.9), False)])
def test_says_when_chance_could_turn_the_result(
    interval: tuple[float, float],
    doubt: bool,
) -> None:
    verdict = judge([RuleSection(metric="ap", at_least=0.75)], {"ap": 0.8}, {"ap": interval})
    (result,) = verdict.rules
    assert result.interval == interval
    assert ("could turn it" in result.sentence) is doubt
