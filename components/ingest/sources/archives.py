"""What every archive from a stranger is held to: credible names, sizes and numbers."""

from pathlib import PurePosixPath, PureWindowsPath

from components.shared.errors import UserError

MAX_MEMBERS = 20_000_000
MAX_TOTAL = 4 * 1024**4  # bytes an archive may unpack to
MAX_RATIO = 200  # bytes unpacked a byte of archive; images hardly compress at all
FREE_BYTES = 100 * 1024 * 1024  # below this no ratio is suspicious


def most_unpacked(packed: int) -> int:
    """Return how many bytes an archive of `packed` bytes may credibly unpack to."""
    return min(MAX_TOTAL, max(FREE_BYTES, packed * MAX_RATIO))


def unpacks_to_more(uri: str, limit: int) -> UserError:
    """Return the error for an archive that is a bomb."""
    return UserError(
        f"{uri}: would unpack to more than {limit:,} bytes, which no archive "
        "of its size holds in images; unpack it yourself if you trust it"
    )


class Guard:
    """Follow the members of an archive and refuse it when one is not credible."""

    def __init__(self, uri: str, packed: int) -> None:
        self._uri = uri
        self._limit = most_unpacked(packed)
        self._members = 0
        self._total = 0

    def admit(self, name: str, size: int) -> str:
        """Return the member's path: forward slashes, no `.` parts; empty for no path at all.

        Raises:
            UserError: if the name leads out of the archive, or the archive unpacks to more
                than it credibly holds.
        """
        path = PurePosixPath(name.replace("\\", "/"))
        outside = path.is_absolute() or ".." in path.parts or PureWindowsPath(name).anchor
        if outside or "\0" in name:
            raise UserError(f"{self._uri}: member {name!r} leads out of the archive; not read")
        if size < 0:
            raise UserError(f"{self._uri}: member {name!r} states a size of {size}; not read")
        self._members += 1
        self._total += size
        if self._members > MAX_MEMBERS:
            raise UserError(f"{self._uri}: holds more than {MAX_MEMBERS:,} files")
        if self._total > self._limit:
            raise unpacks_to_more(self._uri, self._limit)
        return str(path) if path.parts else ""
