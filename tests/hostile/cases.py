"""Every case of every family, by its name."""

from tests.hostile.families import (
    checkpoints,
    command_line,
    mid_write,
    misuse,
    model_folders,
    pages,
    spoilt_bytes,
    values,
)

FAMILIES = (
    spoilt_bytes,
    values,
    command_line,
    model_folders,
    checkpoints,
    pages,
    mid_write,
    misuse,
)


ALL = [case for family in FAMILIES for case in family.cases()]
CASES = {case.name: case for case in ALL}
