# Copyright 2026 The nasfpn_tf Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Draws detections on images."""

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_GOLDEN_RATIO = 0.618033988749895


def annotate(
  image: np.ndarray,
  boxes: np.ndarray,
  classes: Sequence[int],
  captions: Sequence[str],
  scores: np.ndarray | None = None,
) -> Image.Image:
  """Draws boxes and captions, the best detection on top.

  Args:
    image: uint8 [height, width, 3], RGB.
    boxes: [n, 4], yxyx in pixels of the image.
    classes: n labels; each has its own color, the same in every image.
    captions: n texts.
    scores: n scores, for the order in which they are drawn; None: as given, the first on top.

  Returns:
    A new RGB image of the same size.
  """
  canvas = Image.fromarray(image).convert('RGB')
  draw = ImageDraw.Draw(canvas)
  line = max(1, round(min(canvas.size) / 250))
  font = ImageFont.load_default(size=max(10, min(28, round(min(canvas.size) / 28))))
  order = range(len(boxes)) if scores is None else np.argsort(-np.asarray(scores), kind='stable')
  shown = [(_inside(boxes[i], canvas.size), color_of(classes[i]), captions[i]) for i in reversed(list(order))]
  shown = [entry for entry in shown if entry[0] is not None]
  for box, color, _ in shown:
    draw.rectangle(box, outline=color, width=line)
  for box, color, caption in shown:  # Last, so that no line crosses a caption.
    _draw_caption(draw, canvas.size, box, color, caption, line, font)
  return canvas


def color_of(label: int) -> tuple[int, int, int]:
  """Returns the RGB color of a class: hues by the golden ratio, so that neighboring labels look different."""
  red, green, blue = colorsys.hsv_to_rgb((label * _GOLDEN_RATIO) % 1.0, 0.85, 0.95)
  return round(red * 255), round(green * 255), round(blue * 255)


def _inside(box, size):
  """Clips a box (yxyx) to an image of (width, height), as Pillow's x0, y0, x1, y1; None if nothing is left."""
  ymin, xmin, ymax, xmax = (float(side) for side in box)
  xmin, xmax = max(0.0, xmin), min(size[0] - 1.0, xmax)
  ymin, ymax = max(0.0, ymin), min(size[1] - 1.0, ymax)
  return None if xmax < xmin or ymax < ymin else [xmin, ymin, xmax, ymax]


def _draw_caption(draw, size, box, color, caption, margin, font):
  """Draws a caption above the box if there is room, else inside it; never beyond the right edge."""
  xmin, ymin = box[:2]
  left, top, right, bottom = draw.textbbox((0, 0), caption, font=font)
  width, height = right - left + 2 * margin, bottom - top + 2 * margin
  x = max(0.0, min(xmin, size[0] - width))
  y = ymin - height if ymin >= height else ymin
  draw.rectangle([x, y, x + width, y + height], fill=color)
  is_bright = 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2] > 140
  draw.text((x + margin - left, y + margin - top), caption, fill=(0, 0, 0) if is_bright else (255, 255, 255), font=font)
