"""Choose what to compare with: an address in the config, or what the runner passes."""

from components.shared.errors import UserError
from components.validate.config import DriftSection
from components.validate.fetch import read_text
from components.validate.profile import Profile, parse_profile

KEY = "validate.drift.baseline"


def earlier_profile(section: DriftSection, passed: str, now: Profile) -> tuple[Profile | None, str]:
    """Return the profile to compare with; without one, why there is none.

    Args:
        section: `baseline` takes precedence over what is passed.
        passed: the text of the newest accepted run's profile; empty when there is none.
        now: this run's profile.

    Raises:
        UserError: if the profile that the config names cannot be read or used. One that was
            only passed on (by an older release, of another task) must not stop a run.
    """
    if section.severity == "off":
        return None, "validate.drift.severity is off"
    if section.baseline:
        return _usable(read_text(section.baseline, KEY), f"{KEY}: {section.baseline}", now), ""
    if not passed.strip():
        return None, "there is no earlier profile"
    try:
        return _usable(passed, "the earlier run's profile", now), ""
    except UserError as error:
        return None, str(error)


def _usable(text: str, where: str, now: Profile) -> Profile:
    profile = parse_profile(text, where)
    if profile.task != now.task:
        raise UserError(
            f"{where}: it is of task '{profile.task}', this run of '{now.task}'; give a profile "
            "of the same task"
        )
    return profile
