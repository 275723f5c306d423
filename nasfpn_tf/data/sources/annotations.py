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

"""Checks one COCO annotation at a time: its references, its box, its flags, its id."""

import math
import re
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.data.sources.problems import Problems

# Boxes that leave the image by less than this many pixels are rounding, not a mistake.
ROUNDING = 0.01
_YES = ('1', '1.0', 'true', 't', 'yes', 'y', 'on')
_QUOTED = re.compile(r'-?[0-9]{1,18}')


class AnnotationChecker:
  """Checks COCO annotations one by one; the valid ones are in `annotations`, by image id.

  Args:
    images: the checked image entries by id.
    category_ids: ids of the listed categories.
    origins: annotation id -> where it comes from, for messages, where that is not a COCO file.
    problems: takes what is found.
    left_out: image id -> why no image of that id is used, for messages.
  """

  def __init__(
    self,
    images: Mapping[int, dict[str, Any]],
    category_ids: set[int],
    origins: Mapping[int, str],
    problems: Problems,
    left_out: Mapping[int, str] | None = None,
  ):
    self.annotations: dict[int, list[dict[str, Any]]] = {identifier: [] for identifier in images}
    self._images = images
    self._category_ids = category_ids
    self._origins = origins
    self._problems = problems
    self._left_out = left_out or {}
    self._by_id: dict[int, dict[str, Any]] = {}

  def check(self, index: int, item: Any) -> None:
    """Adds the annotation, or notes why it cannot be used."""
    where = f'annotations[{index}]'
    if not isinstance(item, Mapping):
      self._problems.add('bad_annotation', where, f'not an object: {short(item)}')
      return
    identifier = integer(item.get('id'))
    where = self._origins.get(identifier, f'annotation {identifier}' if identifier is not None else where)
    image_id, category_id = integer(item.get('image_id')), integer(item.get('category_id'))
    for key, value in (('image_id', image_id), ('category_id', category_id)):
      if value is None:
        self._problems.add('bad_annotation', where, f'no integer {key}: {short(item)}')
        return
    if image_id not in self._images:
      why = self._left_out.get(image_id, 'is not listed (or was dropped)')
      self._problems.add('unknown_image', where, f'image id {image_id} {why}')
      return
    image = self._images[image_id]
    where = f'{where} of {image["file_name"]}' if identifier not in self._origins else where
    if category_id not in self._category_ids:
      self._problems.add('unknown_category', where, f'category id {category_id} is not listed')
      return
    box = item.get('bbox')
    outline = polygon_box(item.get('segmentation')) if box is None or box == [] else None
    if outline is not None:
      self._problems.add('box_from_polygon', where, f'bbox {short(outline)}')
      box = outline
    box, clipped = self._check_box(box, image, where)
    if box is None:
      return
    area = self._check_area(item, box, where)
    annotation = {
      'id': identifier,
      'image_id': image_id,
      'category_id': category_id,
      'bbox': box,
      'area': min(area, box[2] * box[3]) if clipped else area,
      'iscrowd': self._check_crowd(item.get('iscrowd', 0), where),
    }
    # Id 0 is no id: pycocotools takes a ground truth of id 0 for "not matched".
    if not identifier or identifier in self._by_id:
      if identifier and self._by_id[identifier] == annotation:
        self._problems.add(
          'annotation_repeated', where, f'id {identifier} and all values equal those of an earlier one'
        )
        return
      self._problems.add('annotation_renumbered', where, f'id {item.get("id")!r} is missing, zero or taken')
      annotation['id'] = None
    else:
      self._by_id[identifier] = annotation
    self.annotations[image_id].append(annotation)

  def finish(self) -> None:
    """Assigns new ids, above all others, to annotations without a unique id; notes boxes that occur twice."""
    identifier = max((0, *self._by_id))
    for image_id, items in self.annotations.items():
      seen = {}
      for item in items:
        if item['id'] is None:
          identifier += 1
          item['id'] = identifier
        first = seen.setdefault((item['category_id'], *item['bbox']), item)
        if first is not item:
          where = self._origins.get(item['id'], f'annotation {item["id"]} of {self._images[image_id]["file_name"]}')
          self._problems.add('box_repeated', where, f'is where annotation {first["id"]} is')

  def _check_box(self, box: Any, image: Mapping[str, Any], where: str) -> tuple[list[float] | None, bool]:
    """Returns the box clipped to the image, or None if nothing is left, and whether it was clipped."""
    if not isinstance(box, list | tuple) or len(box) != 4 or not all(map(_is_number, box)):
      self._problems.add('bad_annotation', where, f'bbox must be [x, y, width, height], got {short(box)}')
      return None, False
    if not all(map(_is_finite, box)):
      self._problems.add('box_dropped', where, f'bbox {short(box)} is not finite')
      return None, False
    shown = '[' + ', '.join(f'{value:.6g}' for value in box) + ']'
    x, y, width, height = box
    if width <= 0 or height <= 0:
      self._problems.add('box_dropped', where, f'bbox {shown} has no area')
      return None, False
    left, top = max(x, 0), max(y, 0)
    right, bottom = min(x + width, image['width']), min(y + height, image['height'])
    size = f'{image["width"]}x{image["height"]}'
    if right <= left or bottom <= top:
      self._problems.add('box_dropped', where, f'bbox {shown} lies outside the {size} image')
      return None, False
    outside = max(left - x, top - y, x + width - right, y + height - bottom)
    if outside <= 0:
      return list(box), False
    if outside > ROUNDING:
      if right - left < 1 or bottom - top < 1:
        self._problems.add('box_dropped', where, f'less than a pixel of bbox {shown} is inside the {size} image')
        return None, False
      self._problems.add('box_clipped', where, f'bbox {shown} leaves the {size} image by {outside:.4g} pixels')
    return [left, top, right - left, bottom - top], True

  def _check_area(self, item: Mapping[str, Any], box: list[float], where: str) -> float:
    full = box[2] * box[3]
    if 'area' not in item:  # Many tools write none; the box's own is what evaluation by size would use.
      return full
    area = item['area']
    if not _is_number(area) or not _is_finite(area) or area <= 0:
      self._problems.add('area_filled', where, f'area {area!r} became {full:.6g}')
      return full
    return area

  def _check_crowd(self, crowd: Any, where: str) -> int:
    if crowd in (0, 1):
      return int(crowd)
    taken = int(flag(crowd))
    self._problems.add('crowd_flag_fixed', where, f'iscrowd {short(crowd)} taken as {taken}')
    return taken


def flag(value: Any) -> bool:
  """Returns whether a value means yes: a number that is not 0, or text such as '1', 'true' or 'yes'."""
  if isinstance(value, str):
    return value.strip().lower() in _YES
  return isinstance(value, int | float) and value != 0 and value == value


def polygon_box(segmentation: Any) -> list[float] | None:
  """Returns the bounding box [x, y, width, height] of COCO's polygons; None where there is none (RLE masks too)."""
  if not isinstance(segmentation, list) or not segmentation:
    return None
  polygons = segmentation if isinstance(segmentation[0], list) else [segmentation]
  points = [number for polygon in polygons if isinstance(polygon, list) for number in polygon]
  if any(not isinstance(p, list) or len(p) < 6 or len(p) % 2 for p in polygons):
    return None
  if not all(_is_number(number) and _is_finite(number) for number in points):
    return None
  left, top, right, bottom = min(points[0::2]), min(points[1::2]), max(points[0::2]), max(points[1::2])
  return [left, top, right - left, bottom - top]


def integer(value: Any) -> int | None:
  """Returns the integer that a number is, quoted or not, None for anything else; 3.0 is an integer, true is not."""
  if isinstance(value, str):
    return int(value) if _QUOTED.fullmatch(value.strip()) else None
  if not _is_number(value) or not _is_finite(value) or value != int(value) or not -(2**63) <= value < 2**63:
    return None
  return int(value)


def is_text(value: Any) -> bool:
  """Tells whether a value is a string that can be a name: not empty, and without lone surrogates."""
  if not isinstance(value, str) or not value:
    return False
  try:
    value.encode()
  except UnicodeEncodeError:
    return False
  return True


def short(value: Any) -> str:
  """Shortens the value to text of at most 80 characters, for messages."""
  text = repr(value)
  return text if len(text) <= 80 else text[:77] + '...'


def _is_number(value: Any) -> bool:
  return isinstance(value, int | float) and not isinstance(value, bool)


def _is_finite(value: float) -> bool:
  try:
    return math.isfinite(value)
  except OverflowError:  # An integer beyond the floats.
    return False
