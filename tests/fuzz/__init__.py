"""Commands are run from the folder of all tests (`cd tests; python -m fuzz...`); helpers lie in support."""

import sys
from pathlib import Path

SUPPORT = str(Path(__file__).parents[1] / "support")
if SUPPORT not in sys.path:
    sys.path.insert(0, SUPPORT)
