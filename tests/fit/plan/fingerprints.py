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
"""Fingerprints of data sets that do not exist."""

import numpy as np

from nasfpn_tf.fit.plan.fingerprint import Fingerprint


def make(
  sides=(40, 80), aspects=(0.8, 1.2), image_size=(480, 640), num_images=300, names=('cell',), num_boxes=300, seed=0,
  **changes,
) -> Fingerprint:  # fmt: skip
  """Boxes with sides and shapes drawn evenly, on a logarithmic scale, from the two ranges, anywhere in the images."""
  rng = np.random.default_rng(seed)
  side, aspect = (np.exp(rng.uniform(*np.log(limits), num_boxes)) for limits in (sides, aspects))
  height, width = side / np.sqrt(aspect), side * np.sqrt(aspect)
  top = rng.uniform(0, np.maximum(image_size[0] - height, 1))
  left = rng.uniform(0, np.maximum(image_size[1] - width, 1))
  values = {
    'input_path': 'records/train-*',
    'num_images': num_images,
    'num_boxes': num_boxes,
    'names': tuple(names),
    'image_size': tuple(image_size),
    'most_boxes': 10,
    'boxes': np.stack([top, left, top + height, left + width], axis=1),
    'sizes': np.tile(image_size, (num_boxes, 1)),
    'crowding': 0.0,
    'up_and_down': False,
    'fewest': (names[0], 100),
  }
  return Fingerprint(**{**values, **changes})
