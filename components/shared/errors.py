"""The one exception for mistakes a user can mend."""


class UserError(Exception):
    """A mistake in the user's data, config or command.

    The message names the file, row or key, says what was expected, and what to do. It is
    shown without a traceback.
    """
