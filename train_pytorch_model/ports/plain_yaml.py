"""YAML as data: what a directory's YAML files may hold."""

from typing import Any

import yaml

MAX_NODES = 20_000
MAX_ALIASES = 100
MAX_DEPTH = 50
MAX_DIGITS = 100
"""What a file may hold: values in all, references to others, lists in one another, and the
characters of a number, since some numbers take the square of their length to read.
"""

_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class _LimitError(ValueError):
    """A file holds more than the limits allow."""


class _PlainLoader(yaml.SafeLoader):
    """YAML within the limits and without ``<<``: nested merges take all time and memory."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = self._aliases = self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Count what is read."""
        self._nodes += 1
        self._aliases += self.check_event(yaml.AliasEvent)
        self._depth += 1
        for count, limit, what in (
            (self._nodes, MAX_NODES, "values"),
            (self._aliases, MAX_ALIASES, "aliases"),
            (self._depth, MAX_DEPTH, "levels"),
        ):
            if count > limit:
                raise _LimitError(f"more than {limit:,} {what}")
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        number = node.value if node is not None and node.tag in _NUMBERS else ""
        if len(number) > MAX_DIGITS:
            raise _LimitError(f"a number of more than {MAX_DIGITS} characters")
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave ``<<`` in, which is refused as a key of no known type."""


def load_plain(content: bytes) -> Any:
    """The data in a YAML file; a byte order mark is passed over.

    Aliases stay shared, so that a small file stays small in memory: never write what comes back
    out as text before knowing its type.

    Raises:
        ValueError: it is not UTF-8, not plain YAML or beyond the limits; the message says which.
    """
    try:
        return yaml.load(content.decode("utf-8-sig"), _PlainLoader)
    except (MemoryError, _LimitError):
        raise
    except Exception as error:  # a tag such as !!timestamp on what is none raises anything
        raise ValueError(type(error).__name__) from error
