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
"""Draws a data set of surface defects on grey textures: six classes that look alike, long and large boxes, 200 px.

A stand-in for photographs of steel, whose data sets cannot be distributed: COCO JSON beside a directory of images, as
`fit.sh` takes it. Boxes are off by some percent, as people draw them.

python -m benchmarks.defect_textures --output_dir=runs/textures
./scripts/fit.sh runs/textures --minutes=14 --output_dir=runs/textures_detector
"""

import json
import pathlib

import cv2
import numpy as np
from absl import app, flags

NAMES = ('crazing', 'inclusion', 'patches', 'pitted', 'rolled', 'scratches')
_SIZE = 200
_REGIONS = (0, 3, 4)  # Classes that are areas of many small marks.


def draw(output_dir: pathlib.Path, num_images: int, seed: int = 0) -> dict:
  """Writes the images and `annotations.json`; returns what that holds."""
  rng = np.random.default_rng(seed)
  (output_dir / 'images').mkdir(parents=True, exist_ok=True)
  images, annotations = [], []
  for number in range(num_images):
    label = number % len(NAMES)
    image = _texture(rng)
    taken = []
    for _ in range(rng.integers(1, 3) if label in _REGIONS else rng.integers(1, 5)):
      box, layer = _defect(rng, label, taken)
      if layer is None or _overlaps(box, taken):
        continue
      image += layer
      taken.append(box)
      annotations.append(_annotation(rng, box, len(annotations) + 1, number + 1, label + 1))
    name = f'{NAMES[label]}_{number:04d}.jpg'
    cv2.imwrite(str(output_dir / 'images' / name), np.clip(image, 0, 255).astype(np.uint8))
    images.append({'id': number + 1, 'file_name': name, 'width': _SIZE, 'height': _SIZE})
  categories = [{'id': label + 1, 'name': name} for label, name in enumerate(NAMES)]
  content = {'images': images, 'annotations': annotations, 'categories': categories}
  (output_dir / 'annotations.json').write_text(json.dumps(content), encoding='utf-8')
  return content


def _texture(rng):
  image = rng.uniform(90, 170) + _clouds(rng, 40) * rng.uniform(4, 18) + _clouds(rng, 6) * rng.uniform(2, 8)
  image += rng.normal(size=(_SIZE, _SIZE)) * rng.uniform(3, 9)
  if rng.random() < 0.5:
    image += np.linspace(-1, 1, _SIZE)[None] * rng.uniform(-30, 30)
  if rng.random() < 0.4:
    image += cv2.blur(rng.normal(size=(_SIZE, _SIZE)), (1, 41)) * rng.uniform(10, 30)
  return image


def _clouds(rng, scale):
  coarse = rng.normal(size=(max(2, _SIZE // scale),) * 2).astype(np.float32)
  return cv2.resize(coarse, (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC)


def _overlaps(box, taken):
  x, y, w, h = box
  return any(x + w >= a and a + c >= x and y + h >= b and b + d >= y for a, b, c, d in taken)


def _annotation(rng, box, number, image_id, category_id):
  x, y, w, h = box
  jitter = rng.normal(size=4) * np.array([w, h, w, h]) * 0.03
  left, top = max(0.0, float(x + jitter[0])), max(0.0, float(y + jitter[1]))
  width, height = (
    min(_SIZE - start, max(4.0, float(side + off)))
    for start, side, off in zip((left, top), (w, h), jitter[2:], strict=True)
  )
  return {
    'id': number,
    'image_id': image_id,
    'category_id': category_id,
    'bbox': [left, top, width, height],
    'area': width * height,
    'iscrowd': 0,
  }


def _place(rng, w, h, margin):
  return rng.integers(margin, _SIZE - margin - w), rng.integers(margin, _SIZE - margin - h)


def _defect(rng, label, taken):
  """Returns (x, y, width, height) and the grey values to add; no values where a region would meet another one."""
  layer = np.zeros((_SIZE, _SIZE), np.float32)
  if label in _REGIONS:
    w, h = rng.integers(60, 180, 2)
    box = (rng.integers(5, 196 - w), rng.integers(5, 196 - h), w, h)
    return box, None if _overlaps(box, taken) else _region(rng, layer, label, *box)
  if label == NAMES.index('inclusion'):
    w, h = rng.integers(8, 20), rng.integers(30, 120)
    x, y = _place(rng, w, h, 2)
    points = [[x + w * rng.uniform(0.2, 0.8), y + h * t] for t in np.linspace(0, 1, 6)]
    cv2.polylines(layer, [np.array(points, np.int32)], False, -1.0, int(rng.integers(3, 7)))
    return (x, y, w, h), cv2.GaussianBlur(layer, (0, 0), 1) * rng.uniform(30, 60)
  if label == NAMES.index('patches'):
    w, h = rng.integers(30, 90, 2)
    x, y = _place(rng, w, h, 2)
    angles = np.linspace(0, 6.28, 14)[:-1]
    radius = rng.uniform(0.6, 1, 13)
    points = np.stack([x + w / 2 + w / 2 * radius * np.cos(angles), y + h / 2 + h / 2 * radius * np.sin(angles)], -1)
    cv2.fillPoly(layer, [points.astype(np.int32)], -1.0)
    return (x, y, w, h), cv2.GaussianBlur(layer, (0, 0), 2) * rng.uniform(30, 70)
  if rng.random() < 0.7:
    w, h = rng.integers(4, 12), rng.integers(80, 190)
  else:
    w, h = rng.integers(80, 190), rng.integers(4, 12)
  x, y = _place(rng, w, h, 1)
  cv2.line(layer, (int(x + 2), int(y + 2)), (int(x + w - 2), int(y + h - 2)), 1.0, int(rng.integers(1, 4)))
  return (x, y, w, h), layer * rng.uniform(30, 80)


def _region(rng, layer, label, x, y, w, h):
  """Scatters cracks, pits or scale over an ellipse."""
  mask = np.zeros_like(layer)
  cv2.ellipse(mask, (int(x + w / 2), int(y + h / 2)), (int(w / 2), int(h / 2)), 0, 0, 360, 1, -1)
  mask = cv2.GaussianBlur(mask, (0, 0), 5)
  for _ in range(int(w * h / {0: 350, 3: 60, 4: 250}[label])):
    if label == 0:
      point, angle = np.array([rng.uniform(x, x + w), rng.uniform(y, y + h)]), rng.uniform(0, 6.3)
      points = [point]
      for _ in range(4):
        angle += rng.normal() * 0.6
        points.append(points[-1] + 7 * np.array([np.cos(angle), np.sin(angle)]))
      cv2.polylines(layer, [np.array(points, np.int32)], False, float(rng.uniform(-1, -0.5)), 1)
      continue
    center = (int(rng.uniform(x, x + w)), int(rng.uniform(y, y + h)))
    if label == 3:
      cv2.circle(layer, center, int(rng.integers(1, 3)), -1.0, -1)
    else:
      axes = (int(rng.integers(2, 5)), int(rng.integers(1, 3)))
      cv2.ellipse(layer, center, axes, float(rng.uniform(0, 180)), 0, 360, float(rng.choice([-1, 0.8])), -1)
  return layer * mask * rng.uniform(25, 50)


def main(argv):
  del argv
  content = draw(pathlib.Path(flags.FLAGS.output_dir), flags.FLAGS.num_images, flags.FLAGS.seed)
  print(f'{len(content["images"])} images, {len(content["annotations"])} boxes: {flags.FLAGS.output_dir}')


if __name__ == '__main__':
  flags.DEFINE_string('output_dir', None, 'Directory for images and annotations.')
  flags.DEFINE_integer('num_images', 1400, 'How many.')
  flags.DEFINE_integer('seed', 0, 'Seed of the images.')
  flags.mark_flag_as_required('output_dir')
  app.run(main)
