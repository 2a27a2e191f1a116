"""YAML as data: what a directory's YAML files may hold."""

from typing import Any

import yaml


class _PlainLoader(yaml.SafeLoader):
    """YAML without ``<<``: nested merges let a small file take all time and memory."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave ``<<`` in, which is refused as a key of no known type."""


def load_plain(content: bytes) -> Any:
    """The data in a YAML file; a byte order mark is passed over.

    Aliases stay shared, so that a small file stays small in memory: never write what comes back
    out as text before knowing its type.

    Raises:
        ValueError: it is not UTF-8 or not plain YAML; the message says which.
    """
    try:
        return yaml.load(content.decode("utf-8-sig"), _PlainLoader)
    except MemoryError:
        raise
    except Exception as error:  # a tag such as !!timestamp on what is none raises anything
        raise ValueError(type(error).__name__) from error
