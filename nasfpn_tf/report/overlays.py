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

"""Shows images with boxes in reports: a JPEG is embedded once, boxes are drawn over it as SVG as often as needed."""

import base64
import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageOps

from nasfpn_tf.report.templates import Raw, fill


@dataclasses.dataclass(frozen=True)
class Box:
  """A box on an image.

  Attributes:
    bbox: x, y, width, height in pixels of the original image.
    name: the category's name.
    score: a prediction's confidence; None for ground truth.
    kind: 'truth'; 'good' or 'bad' for a prediction that does or does not find an object; 'missed' for an object that no
      prediction finds.
  """

  bbox: tuple[float, float, float, float]
  name: str
  score: float | None = None
  kind: str = 'truth'


def judge(truth: Sequence[Box], predictions: Sequence[Box], min_iou: float = 0.5) -> list[Box]:
  """Marks predictions as 'good' or 'bad', and adds the 'missed' objects.

  As COCO matches at one IoU: the most confident prediction first, each takes the object of its category that it
  overlaps most among those still free.
  """
  free, judged = list(truth), []
  for prediction in sorted(predictions, key=lambda box: -(box.score or 0.0)):
    rivals = [t for t in free if t.name == prediction.name]
    best = max(rivals, key=lambda t: iou(t.bbox, prediction.bbox), default=None)
    found = best is not None and iou(best.bbox, prediction.bbox) >= min_iou
    if found:
      free.remove(best)
    judged.append(dataclasses.replace(prediction, kind='good' if found else 'bad'))
  return [*judged, *(dataclasses.replace(t, kind='missed') for t in free)]


def iou(a: Sequence[float], b: Sequence[float]) -> float:
  """Computes the intersection over union of two boxes given as x, y, width, height."""
  width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
  height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
  shared = max(width, 0.0) * max(height, 0.0)
  return shared / max(a[2] * a[3] + b[2] * b[3] - shared, 1e-9)


def embed(path: str | os.PathLike, name: str, max_side: int = 512, quality: int = 85) -> tuple[Raw, tuple[int, int]]:
  """Converts an image to an SVG symbol to embed in the page once; returns it and the image's original size.

  Args:
    path: any image that Pillow reads; it is rotated as its EXIF says.
    name: id of the symbol, unique on the page.
    max_side: larger images are scaled down to this.
    quality: of the JPEG.

  Returns:
    HTML with the symbol, hidden; (width, height) of the original image, which box coordinates refer to.
  """
  with Image.open(path) as opened:
    upright = ImageOps.exif_transpose(opened).convert('RGB')
  width, height = upright.size
  upright.thumbnail((max_side, max_side))
  file = io.BytesIO()
  upright.save(file, 'JPEG', quality=quality)
  data = base64.b64encode(file.getvalue()).decode('ascii')
  return fill('overlays.symbol', name=name, width=width, height=height, data=data), (width, height)


def panel(name: str, size: tuple[int, int], boxes: Sequence[Box], title: str) -> Raw:
  """Draws boxes over an embedded image, as SVG.

  Args:
    name: the symbol of `embed`.
    size: its (width, height).
    boxes: what to draw.
    title: what the view shows, for screen readers.
  """
  width, height = size
  text_size = max(width, height) / 24
  drawn = []
  for box in boxes:
    x, y, w, h = box.bbox
    label = box.name if box.score is None else f'{box.name} .{min(int(box.score * 100), 99):02d}'
    # Above the box, or inside it where the image ends; never beyond the right edge.
    text_y = y - text_size * 0.25 if y > text_size else y + text_size * 0.95
    text_x = max(0.0, min(x, width - text_size * 0.58 * len(label)))
    pixels = {'x': x, 'y': y, 'width': max(w, 0), 'height': max(h, 0), 'text_x': text_x, 'text_y': text_y}
    pixels |= {'size': text_size, 'stroke': text_size / 5}
    shown = {key: f'{value:.1f}' for key, value in pixels.items()}
    drawn.append(fill('overlays.box', kind=box.kind, label=label, hint=f'{label}, {box.kind}', **shown))
  return fill('overlays.panel', name=name, width=width, height=height, title=title, boxes=drawn)


def boxes_of(annotations: Sequence[Mapping[str, Any]], names: Mapping[int, str]) -> list[Box]:
  """Makes boxes of COCO annotations, without crowds; `names` is by category id."""
  return [Box(tuple(a['bbox']), names[a['category_id']]) for a in annotations if not a.get('iscrowd', 0)]
