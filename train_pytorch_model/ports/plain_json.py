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
    level: list[Any] = [[document]]
    for _ in range(MAX_DEPTH + 2):
        # no call for each of them: there may be millions
        inside = (outer.values() if isinstance(outer, dict) else outer for outer in level)
        level = [i for items in inside for i in items if isinstance(i, list | dict)]
        if not level:
            return document
    raise ValueError(_TOO_DEEP)


_TOO_DEEP = f"more than {MAX_DEPTH} levels"
