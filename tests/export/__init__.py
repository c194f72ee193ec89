"""Tests of the exports. `datasets` reads this variable when it is imported, which comes later."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
