"""What can be collected depends on what is installed: torch and its friends are extras."""

from importlib.util import find_spec

NEED_TORCH = [
    "src/pandq/torch/*",
    "src/pandq/fit/networks/classifier.py",
    "src/pandq/fit/networks/modules.py",
    "src/pandq/loops/transformers.py",
]
NEED_TORCHMETRICS = ["src/pandq/loops/torchmetrics.py"]
collect_ignore_glob = [] if find_spec("torch") else NEED_TORCH
collect_ignore_glob += [] if find_spec("torchmetrics") else NEED_TORCHMETRICS
