"""Which names belong to the dataset, and which to whoever kept it."""

from collections.abc import Iterable

from components.ingest.sources.base import PassOver

# What file managers, editors and version control leave beside a dataset. They are counted in
# one line; any other hidden file is listed, since it may have been meant.
_SYSTEM = frozenset(
    {
        ".AppleDouble", ".DS_Store", ".Spotlight-V100", ".TemporaryItems", ".Trashes", ".directory",
        ".fseventsd", ".git", ".gitattributes", ".gitignore", ".gitkeep", ".hg", ".idea",
        ".ipynb_checkpoints", ".keep", ".svn", ".vscode", "@eaDir", "Desktop.ini", "Thumbs.db",
        "__MACOSX", "desktop.ini", "ehthumbs.db",
    }
)  # fmt: skip

SYSTEM_FILES = "files of operating systems and editors"
HIDDEN = "hidden: its name, or its folder's, begins with a dot; rename it to have it read"


def hidden_as(parts: Iterable[str]) -> str:
    """Return `SYSTEM_FILES` or `HIDDEN` if a path's parts say so, else nothing."""
    found = ""
    for part in parts:
        if part in _SYSTEM or part.startswith("._"):
            return SYSTEM_FILES
        if part.startswith("."):
            found = HIDDEN
    return found


def is_visible(path: str, pass_over: PassOver) -> bool:
    """Whether a path is the dataset's; if not, tell `pass_over` why."""
    reason = hidden_as(path.split("/"))
    if reason:
        pass_over(path, reason)
    return not reason
