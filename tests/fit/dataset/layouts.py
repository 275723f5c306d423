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
"""The same few annotated images as different tools lay them out."""

import json
import pathlib

import numpy as np

from tests.data import samples

WIDTH, HEIGHT = 48, 32
NAMES = ('dog', 'cat')


def boxes(number: int) -> list[tuple[int, list[int]]]:
  """(index of the class, [x, y, width, height]) of an image's boxes."""
  return [(number % 2, [4, 6, 10 + number, 12]), (1, [20, 8, 12, 16])]


def image(number: int) -> bytes:
  """A JPEG that differs from all others."""
  return samples.encode(np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8))


def write(path: pathlib.Path, content: bytes | str) -> None:
  """Writes a file and the folders above it."""
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content if isinstance(content, bytes) else content.encode())


def images(folder: pathlib.Path, numbers) -> None:
  """Writes images into a folder."""
  for number in numbers:
    write(folder / f'p{number}.jpg', image(number))


def coco(path: pathlib.Path, numbers, prefix: str = '') -> None:
  """Writes COCO JSON, as Roboflow with a class that has no annotation."""
  value = {
    'images': [{'id': n, 'file_name': f'{prefix}p{n}.jpg', 'width': WIDTH, 'height': HEIGHT} for n in numbers],
    'annotations': [
      {'id': 10 * n + k, 'image_id': n, 'category_id': 1 + c, 'bbox': box, 'area': box[2] * box[3], 'iscrowd': 0}
      for n in numbers
      for k, (c, box) in enumerate(boxes(n), 1)
    ],
    'categories': [{'id': 0, 'name': 'animals'}, *({'id': 1 + c, 'name': name} for c, name in enumerate(NAMES))],
  }
  write(path, json.dumps(value))


def voc(folder: pathlib.Path, numbers) -> None:
  """Writes VOC's .xml files."""
  for number in numbers:
    objects = ''.join(
      f'<object><name>{NAMES[c]}</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin><xmax>{x + w}</xmax>'
      f'<ymax>{y + h}</ymax></bndbox></object>'
      for c, (x, y, w, h) in boxes(number)
    )
    size = f'<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>'
    write(folder / f'p{number}.xml', f'<annotation><filename>p{number}.jpg</filename>{size}{objects}</annotation>')


def yolo(folder: pathlib.Path, numbers) -> None:
  """Writes YOLO's label files."""
  for number in numbers:
    lines = [
      f'{c} {(x + w / 2) / WIDTH} {(y + h / 2) / HEIGHT} {w / WIDTH} {h / HEIGHT}' for c, (x, y, w, h) in boxes(number)
    ]
    write(folder / f'p{number}.txt', '\n'.join(lines))
