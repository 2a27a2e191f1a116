"""JSON as data: what a directory's JSON files may hold."""

import json
from typing import Any

MAX_DEPTH = 200
"""Lists and objects in one another; Python writes fewer than it reads, and less of them deep in a
program.
"""


def load_json(content: str | bytes) -> Any:
    """The value that ``content`` writes.

    Raises:
        ValueError: it is not JSON, not UTF-8 or nested too deeply; the message says which.
    """
    try:
        document = json.loads(content)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return document
    raise ValueError(_TOO_DEEP)


_TOO_DEEP = f"more than {MAX_DEPTH} levels"


def _inside(value: object) -> list[Any]:
    """The lists and objects directly in ``value``."""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [item for item in items if isinstance(item, list | dict)]
