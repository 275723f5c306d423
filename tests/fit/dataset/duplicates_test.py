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
"""Which images are told to be the same."""

import numpy as np
from PIL import Image

from nasfpn_tf.fit.dataset import duplicates


def _photograph(seed):
  noise = np.random.default_rng(seed).integers(0, 256, (8, 12, 3)).astype(np.uint8)
  return Image.fromarray(noise).resize((192, 128), Image.Resampling.BICUBIC)


def test_copies_are_grouped_and_others_are_not(tmp_path):
  for seed in range(20):
    _photograph(seed).save(tmp_path / f'{seed:02d}.png')
  _photograph(3).save(tmp_path / '20.jpg', quality=60)
  _photograph(3).resize((300, 200)).save(tmp_path / '21.jpg')
  (tmp_path / '22.png').write_bytes((tmp_path / '05.png').read_bytes())
  (tmp_path / '23.jpg').write_bytes(b'no image')
  groups = duplicates.group([str(path) for path in sorted(tmp_path.iterdir())], show_progress=False)
  assert groups.tolist() == [*range(20), 3, 3, 5, 23]


def test_plain_images_are_grouped_by_their_bytes_alone(tmp_path):
  for value in range(20):
    Image.new('L', (64, 64), 10 * value).save(tmp_path / f'{value:02d}.png')
  (tmp_path / '20.png').write_bytes((tmp_path / '04.png').read_bytes())
  groups = duplicates.group([str(path) for path in sorted(tmp_path.iterdir())], show_progress=False)
  assert groups.tolist() == [*range(20), 4]
