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

"""Small data sets for the tests of data/."""

import io
import json
import pathlib

import numpy as np
from PIL import Image


def pixels(width: int = 48, height: int = 32, seed: int = 0) -> np.ndarray:
  """uint8 `[height, width, 3]`: smooth, no two corners alike, so that turning it shows."""
  y, x = np.mgrid[:height, :width]
  ramp = np.stack([x * 255 / width, y * 255 / height, (x + y + seed * 37) % 256], axis=-1)
  return ramp.astype(np.uint8)


def encode(image: np.ndarray | Image.Image, format: str = 'JPEG', orientation: int | None = None, **options) -> bytes:
  """The image as a file, with an EXIF orientation if one is given."""
  image = image if isinstance(image, Image.Image) else Image.fromarray(image)
  if orientation is not None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options['exif'] = exif
  buffer = io.BytesIO()
  image.save(buffer, format, **options)
  return buffer.getvalue()


def coco_value(num_images: int = 6, width: int = 48, height: int = 32) -> dict:
  """A flawless COCO value: ids that are not consecutive, two categories, one crowd, image 30 without a box."""
  images = [
    {'id': 10 * (index + 1), 'file_name': f'p{index}.jpg', 'width': width, 'height': height}
    for index in range(num_images)
  ]
  annotations = []
  for image in images:
    if image['id'] == 30:
      continue
    for number in range(2):
      annotations.append(
        {
          'id': len(annotations) + 1,
          'image_id': image['id'],
          'category_id': (3, 8)[number],
          'bbox': [4.0 + number, 5.0, 10.0 + image['id'] % 7, 12.5],
          'area': 100.0,
          'iscrowd': int(image['id'] == 20 and number == 1),
        }
      )
  categories = [{'id': 8, 'name': 'dog'}, {'id': 3, 'name': 'cat'}]
  return {'info': {'year': 2026}, 'images': images, 'annotations': annotations, 'categories': categories}


def write_images(directory: pathlib.Path, value: dict) -> pathlib.Path:
  """Writes a JPEG for each image of a COCO value; returns the directory."""
  directory.mkdir(parents=True, exist_ok=True)
  for seed, image in enumerate(value['images']):
    (directory / image['file_name']).write_bytes(encode(pixels(image['width'], image['height'], seed)))
  return directory


def write_json(path: pathlib.Path, value: object) -> pathlib.Path:
  """Writes a JSON file; returns its path."""
  path.write_text(json.dumps(value))
  return path
