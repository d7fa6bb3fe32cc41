"""Metrics of workers under WSGI servers other than the one that `cobalamin serve` runs.

PROMETHEUS_MULTIPROC_DIR names a folder, empty when the service starts, for `deploy.wsgi:app` and
for `deploy.metrics:app`, which is served on an address of its own and on the same machine.
"""

import os
from pathlib import Path

from cds_hooks.telemetry.metrics import DIRECTORY_VARIABLE
from cds_hooks.telemetry.prometheus_server import MetricsApplication

app = MetricsApplication(Path(os.environ[DIRECTORY_VARIABLE]))
