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

"""Makes images to measure on: COCO JSON and JPEGs of the usual size, cut from photographs of the embedded data set."""

import io
import json
import os
import pathlib

import numpy as np
from PIL import Image

from nasfpn_tf.data.sources import photographs

NUM_CLASSES = 90
_NUM_DISTINCT = 32  # Others are copies: what is measured does not look at them.


def write_coco(
  directory: str | os.PathLike, count: int, height: int = 480, width: int = 640, num_boxes: int = 8, seed: int = 0
) -> tuple[str, str]:
  """Writes a data set, unless it is there.

  Args:
    directory: for `images/` and `annotations.json`.
    count: how many images; up to 32 are distinct.
    height: of every image.
    width: of every image.
    num_boxes: mean number of boxes in an image; each has from half to three halves of it.
    seed: of the draws.

  Returns:
    (directory of the images, path of the annotations).
  """
  image_dir = pathlib.Path(directory, 'images')
  annotations = pathlib.Path(directory, 'annotations.json')
  if annotations.exists():
    return str(image_dir), str(annotations)
  image_dir.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(seed)
  encoded = [_jpeg(rng, height, width) for _ in range(min(count, _NUM_DISTINCT))]
  images, boxes = [], []
  for number in range(1, count + 1):
    name = f'{number:06d}.jpg'
    (image_dir / name).write_bytes(encoded[number % len(encoded)])
    images.append({'id': number, 'file_name': name, 'height': height, 'width': width})
    for y, x, bottom, right in random_boxes(rng, rng.integers(num_boxes // 2, num_boxes * 3 // 2 + 1), height, width):
      boxes.append(
        {
          'id': len(boxes) + 1,
          'image_id': number,
          'category_id': int(rng.integers(1, NUM_CLASSES + 1)),
          'bbox': [x, y, right - x, bottom - y],
          'area': (right - x) * (bottom - y),
          'iscrowd': 0,
        }
      )
  categories = [{'id': number, 'name': f'class {number}'} for number in range(1, NUM_CLASSES + 1)]
  annotations.write_text(json.dumps({'images': images, 'annotations': boxes, 'categories': categories}))
  return str(image_dir), str(annotations)


def random_boxes(rng: np.random.Generator, count: int, height: int, width: int) -> list[list[float]]:
  """Draws `count` boxes, yxyx in whole pixels, sides log-uniform from 10 pixels to 0.7 of the image's."""
  limits = np.log([0.7 * height, 0.7 * width])
  sides = np.round(np.exp(rng.uniform(np.log(10.0), limits, [count, 2])))
  corners = np.round(rng.uniform(0, [height, width] - sides))
  return np.concatenate([corners, corners + sides], axis=1).tolist()


def _jpeg(rng: np.random.Generator, height: int, width: int) -> bytes:
  background = photographs.background(rng, 'train', max(height, width)).crop((0, 0, width, height))
  # Sensor noise: an enlarged photograph alone would be easier to decode than one of this size.
  noisy = np.asarray(background, np.float32) + rng.normal(0, 4, [height, width, 3])
  buffer = io.BytesIO()
  Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(buffer, 'JPEG', quality=90)
  return buffer.getvalue()
