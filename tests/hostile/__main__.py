"""The nursery as a process; with patterns of names, those cases and what is wrong with them."""

import sys

from tests.hostile.cases import CASES
from tests.hostile.nursery import serve, tried

if len(sys.argv) > 1:
    tried(CASES, sys.argv[1:])
else:
    serve(CASES)
