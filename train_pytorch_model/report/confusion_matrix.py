"""A picture of a confusion matrix."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

LIMIT = 50
"""Categories that still make a readable picture."""

_INK, _PAPER, _GREY = (30, 30, 30), (255, 255, 255), (150, 150, 150)
_DARK = (8, 69, 148)
_MARGIN = 24
_NAME = 24  # characters of a category's name


def picture(
    matrix: NDArray[np.int64], images: NDArray[np.int64], names: Sequence[str], title: str
) -> Image.Image:
    """Draw a confusion matrix: the darker, the larger the part of the row's images.

    Args:
        matrix: (k, k), images by label (row) and scored label (column).
        images: (k,), all images of each row's label, which may be more than the row shows.
        names: k categories.
        title: one line above.
    """
    count = len(names)
    cell = max(18, min(56, 900 // max(count, 1)))
    font, small = _font(max(11, min(16, cell - 5))), _font(max(9, cell // 4 + 1))
    heading = _font(18)
    shown = [name if len(name) <= _NAME else f"{name[: _NAME - 1]}…" for name in names]
    widest = max((int(font.getlength(name)) for name in shown), default=0)
    left, top = _MARGIN + 24 + widest + 10, _MARGIN + 60 + widest + 10
    width = max(left + count * cell + _MARGIN, 2 * _MARGIN + int(heading.getlength(title)))
    image = Image.new("RGB", (width, top + count * cell + _MARGIN), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((_MARGIN, _MARGIN), title, _INK, heading, anchor="lt")
    draw.text((left, _MARGIN + 34), "scored as", _GREY, font, anchor="lt")
    _sideways(image, "label", _GREY, font, (_MARGIN, top + count * cell))
    for index, name in enumerate(shown):
        middle = index * cell + cell // 2
        draw.text((left - 10, top + middle), name, _INK, font, anchor="rm")
        _sideways(image, name, _INK, font, (left + middle - int(font.size) // 2 - 2, top - 8))
    for row in range(count):
        for column in range(count):
            number = int(matrix[row, column])
            part = number / max(int(images[row]), 1)
            x, y = left + column * cell, top + row * cell
            shade = [round(p + (d - p) * part) for p, d in zip(_PAPER, _DARK, strict=True)]
            draw.rectangle((x, y, x + cell, y + cell), tuple(shade), (225, 225, 225))
            text = f"{number:,}"
            if number and small.getlength(text) < cell - 2:
                ink = _PAPER if part > 0.5 else _INK
                draw.text((x + cell / 2, y + cell / 2), text, ink, small, anchor="mm")
    return image


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow's wheels have FreeType"
    return font


def _sideways(
    image: Image.Image,
    text: str,
    ink: tuple[int, int, int],
    font: ImageFont.FreeTypeFont,
    bottom_left: tuple[int, int],
) -> None:
    """Write ``text`` upwards from a point."""
    width, height = int(font.getlength(text)) + 2, int(font.size) + 6
    strip = Image.new("L", (width, height), 0)
    ImageDraw.Draw(strip).text((0, height / 2), text, 255, font, anchor="lm")
    turned = strip.transpose(Image.Transpose.ROTATE_90)
    image.paste(ink, (bottom_left[0], bottom_left[1] - width), turned)
