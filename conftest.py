"""What can be collected depends on what is installed: torch is an extra."""

from importlib.util import find_spec

NEED_TORCH = [
    "src/pandq/torch/*",
    "src/pandq/fit/networks/classifier.py",
    "src/pandq/fit/networks/modules.py",
]
collect_ignore_glob = [] if find_spec("torch") else NEED_TORCH
