"""How far the data moved from an earlier run's profile."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from components.validate.config import DriftSection
from components.validate.frames import WHOLE, Frame
from components.validate.histogram import Histogram
from components.validate.measures import (
    chi_square_p,
    cramers_v,
    kolmogorov_smirnov,
    population_stability_index,
    quantile_bins,
)
from components.validate.profile import Profile
from components.validate.suite import BETWEEN, IN_SET, Check

DRIFT: Final = "drift"
DRIFT_CLASSES: Final = "drift_classes"
BALANCE: Final = "class balance"
FEWEST: Final = 50  # values below which only extremes could be told from chance
_KEPT: Final = "kept"
_OTHERS: Final = "all others"
_REMEDY: Final = (
    "see the drift section of the report; if the new data is meant to differ, run once with "
    "validate.drift.severity=warn: an accepted run is what the next one is compared with"
)


@dataclass(frozen=True)
class Measure:
    """How far one quantity is from the earlier run's; None for what does not fit the quantity.

    Attributes:
        name: the quantity.
        before: values in the earlier profile.
        now: values in this one.
        psi: population stability index, 0 or more.
        psi_p: p-value of a chi-square test on its bins.
        ks: Kolmogorov-Smirnov distance, 0 to 1.
        ks_p: its p-value.
        cramers_v: Cramér's V, 0 to 1; its test is the one of the index.
    """

    name: str
    before: int
    now: int
    psi: float
    psi_p: float
    ks: float | None = None
    ks_p: float | None = None
    cramers_v: float | None = None


@dataclass(frozen=True)
class Drift:
    """The comparison with an earlier profile.

    Attributes:
        before: the earlier profile.
        now: this run's.
        measures: one for each quantity that both have.
        left_out: quantities that were not compared, with the reason.
        classes: each class of either list to `kept`, `added` or `removed`; empty where there
            is no list.
        chance: p-value below which a difference is more than chance, for a single test.
    """

    before: Profile
    now: Profile
    measures: list[Measure]
    left_out: dict[str, str]
    classes: dict[str, str]
    chance: float

    def as_json(self) -> dict[str, Any]:
        """Return the comparison in the result file's form."""
        return {
            "compared": True,
            "images_before": self.before.images,
            "measures": [asdict(one) for one in self.measures],
            "left_out": self.left_out,
            "classes_added": [name for name, how in self.classes.items() if how == "added"],
            "classes_removed": [name for name, how in self.classes.items() if how == "removed"],
        }

    def frames(self) -> Iterator[Frame]:
        """Yield the frames that the expectations of `drift_checks` are for."""
        rows = [self._row(one) for one in self.measures]
        columns = ["image_id", "psi", "ks", "cramers_v"]
        yield Frame(DRIFT, WHOLE, _frame({name: [row[name] for row in rows] for name in columns}))
        if self.classes:
            names = [f"class '{name}'" for name in self.classes]
            values = {"image_id": names, "change": list(self.classes.values())}
            yield Frame(DRIFT_CLASSES, WHOLE, _frame(values))

    def _row(self, one: Measure) -> dict[str, Any]:
        """Return what of a measure is more than chance: the rest counts as no difference."""
        real = one.psi_p < self.chance
        return {
            "image_id": one.name,
            "psi": one.psi if real else 0.0,
            "ks": None if one.ks is None else one.ks * ((one.ks_p or 0.0) < self.chance),
            "cramers_v": None if one.cramers_v is None else one.cramers_v * real,
        }


def compare(before: Profile, now: Profile, section: DriftSection) -> Drift:
    """Compare two profiles of the same task."""
    measures: list[Measure] = []
    left_out: dict[str, str] = {}
    for name in [BALANCE, *dict.fromkeys([*now.histograms, *before.histograms])]:
        reason = _not_comparable(name, before, now)
        if reason:
            left_out[name] = reason
        elif name == BALANCE:
            measures.append(_compare_balance(before, now))
        else:
            measures.append(
                _compare_histograms(name, before.histograms[name], now.histograms[name])
            )
    tests = sum(1 + (one.ks is not None) for one in measures)
    chance = section.significance / max(tests, 1)  # Bonferroni: over all tests together
    return Drift(before, now, measures, left_out, _class_changes(before, now), chance)


def drift_checks(section: DriftSection, drift: Drift) -> list[Check]:
    """Return the expectations that hold where nothing drifted."""
    limits = {
        "drift_psi": ("psi", section.max_psi, "the population stability index of any quantity"),
        "drift_ks": ("ks", section.max_ks, "the Kolmogorov-Smirnov distance of any quantity"),
        "drift_class_balance": (
            "cramers_v", section.max_cramers_v, "Cramér's V of the class balance",
        ),
    }  # fmt: skip
    found = [
        Check(
            name, DRIFT, WHOLE, BETWEEN, {"column": column, "max_value": limit}, section.severity,
            f"{what} against the earlier run is at most {limit:g}, or due to chance", _REMEDY,
        )
        for name, (column, limit, what) in limits.items()
    ]  # fmt: skip
    if not drift.classes:
        return found
    same = Check(
        "drift_classes", DRIFT_CLASSES, WHOLE, IN_SET, {"column": "change", "value_set": [_KEPT]},
        section.severity, "the list of classes is the earlier run's", _REMEDY,
    )  # fmt: skip
    return [same, *found]


def aligned_weights(before: Profile, now: Profile) -> dict[str, tuple[float, float]]:
    """Return the images of each class, then and now; what either does not list is put together."""
    names = [name for name in before.weights if name in now.weights]
    full = {name: (before.weights[name], now.weights[name]) for name in names}
    for name, weight in now.weights.items():
        if name not in full and not before.other_weight:
            full[name] = (0.0, weight)
    for name, weight in before.weights.items():
        if name not in full and not now.other_weight:
            full[name] = (weight, 0.0)
    rest = tuple(
        max(_total(one) - sum(pair[side] for pair in full.values()), 0.0)
        for side, one in enumerate((before, now))
    )
    if sum(rest) > 1e-6:
        full[_OTHERS] = (rest[0], rest[1])
    return full


def _total(profile: Profile) -> float:
    return sum(profile.weights.values()) + profile.other_weight


def _compare_balance(before: Profile, now: Profile) -> Measure:
    pairs = sorted(aligned_weights(before, now).values(), key=sum)  # so that rare ones are pooled
    p, q = (np.array([pair[side] for pair in pairs], float) for side in (0, 1))
    return Measure(
        BALANCE, round(p.sum()), round(q.sum()),
        psi=population_stability_index(p, q),
        psi_p=chi_square_p(p, q),
        cramers_v=cramers_v(p, q),
    )  # fmt: skip


def _compare_histograms(name: str, before: Histogram, now: Histogram) -> Measure:
    p, q = before.dense().astype(float), now.dense().astype(float)
    starts = quantile_bins(p)
    coarse_p, coarse_q = (np.add.reduceat(one, starts) for one in (p, q))
    ks, ks_p = kolmogorov_smirnov(p, q)
    return Measure(
        name, before.total, now.total,
        psi=population_stability_index(coarse_p, coarse_q),
        psi_p=chi_square_p(coarse_p, coarse_q),
        ks=ks,
        ks_p=ks_p,
    )  # fmt: skip


def _not_comparable(name: str, before: Profile, now: Profile) -> str:
    """Say why a quantity of one of the runs cannot be compared; empty if it can."""
    for profile, which in ((before, "the earlier run"), (now, "this run")):
        found = profile.histograms.get(name)
        total = _total(profile) if name == BALANCE else found.total if found else 0
        if total < FEWEST:
            return f"{which} has {round(total)} values of it; {FEWEST} are needed"
    if name != BALANCE and before.histograms[name].grid != now.histograms[name].grid:
        return "the earlier run's histogram has other bins"
    return ""


def _class_changes(before: Profile, now: Profile) -> dict[str, str]:
    """Compare the lists of classes; of long ones only whether they are the same is known."""
    if before.has_all_classes and now.has_all_classes:
        changes = {name: _KEPT if name in now.classes else "removed" for name in before.classes}
        return changes | {name: "added" for name in now.classes if name not in before.classes}
    if not now.classes:
        return {}
    same = before.classes_digest == now.classes_digest
    return {"the list": _KEPT if same else "changed"}


def _frame(values: dict[str, list[Any]]) -> pd.DataFrame:
    types: dict[str, pa.DataType] = {"image_id": pa.string(), "change": pa.string()}
    arrays = {name: pa.array(one, types.get(name, pa.float64())) for name, one in values.items()}
    frame: pd.DataFrame = pa.table(arrays).to_pandas(types_mapper=pd.ArrowDtype)
    return frame
