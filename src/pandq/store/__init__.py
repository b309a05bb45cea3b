"""Files and folders that are written whole or not at all."""

from pandq.store.files import (
    all_or_none,
    append_text,
    json_text,
    whole_file,
    write_json,
    write_tables,
)
from pandq.store.folders import Own, check_new_folder, whole_folder
from pandq.store.refusals import check_outputs

__all__ = [
    "Own",
    "all_or_none",
    "append_text",
    "check_new_folder",
    "check_outputs",
    "json_text",
    "whole_file",
    "whole_folder",
    "write_json",
    "write_tables",
]
