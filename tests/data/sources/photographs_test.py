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

"""Backgrounds: the splits share no piece of a photograph, and validation's are left as photographed."""

import numpy as np
import pytest
from PIL import Image

from nasfpn_tf.data.sources import photographs


class FixedChoice:
  """A generator whose whole numbers are given."""

  def __init__(self, choice: int, seed: int):
    self._choice = choice
    self._generator = np.random.default_rng(seed)

  def integers(self, *_):
    return self._choice

  def uniform(self, *args):
    return self._generator.uniform(*args)


def test_splits_share_no_piece_of_a_photograph(monkeypatch):
  """Photographs whose pixels say which column they are from."""
  columns = np.repeat(np.linspace(0, 255, 500)[np.newaxis], 400, axis=0).astype(np.uint8)
  photograph = Image.fromarray(np.stack([columns] * 3, axis=-1))
  monkeypatch.setattr(photographs, '_photographs', lambda: (photograph,) * 3)
  for choice in range(3):
    ranges = {}
    for split in ('train', 'val'):
      values = [np.asarray(photographs._piece(FixedChoice(choice, seed), split, 64)) for seed in range(15)]
      ranges[split] = np.min(values), np.max(values)
    (low, high), (val_low, val_high) = ranges['train'], ranges['val']
    assert high < val_low + 2 or val_high < low + 2
    assert high - low > 100 and val_high - val_low > 60


@pytest.mark.parametrize('split', ['train', 'val'])
def test_a_background_is_made_of_pieces_of_its_split(monkeypatch, split):
  asked, piece = [], photographs._piece

  def record(rng, split, image_size):
    asked.append(split)
    return piece(rng, split, image_size)

  monkeypatch.setattr(photographs, '_piece', record)
  for seed in range(10):
    image = photographs.background(np.random.default_rng(seed), split, 64)
    assert image.size == (64, 64) and image.mode == 'RGB'
  assert set(asked) == {split}
  assert len(asked) == 10 if split == 'val' else len(asked) > 10


def test_only_training_has_colours_that_no_photograph_has(monkeypatch):
  """From a red photograph: validation stays red under any light, training turns to other colors."""
  red = Image.new('RGB', (500, 400), (200, 60, 60))
  monkeypatch.setattr(photographs, '_photographs', lambda: (red,) * 3)

  def strongest(split):
    means = [
      np.asarray(photographs.background(np.random.default_rng(seed), split, 32)).mean((0, 1)) for seed in range(20)
    ]
    return {int(np.argmax(mean)) for mean in means}

  assert strongest('val') == {0}
  assert strongest('train') == {0, 1, 2}
