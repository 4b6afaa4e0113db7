"""The validate step."""

import os

# Great Expectations reads it when it is first imported: nothing is reported to anyone.
os.environ["GX_ANALYTICS_ENABLED"] = "false"
