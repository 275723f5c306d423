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

"""Tests of the image of augmented training images."""

import numpy as np
import pytest
from PIL import Image

from nasfpn_tf import config
from nasfpn_tf.training.contact_sheet import write_contact_sheet
from tests.data import synthetic


def test_draws_augmented_images_with_their_boxes(tmp_path):
  pattern = synthetic.write_shards(tmp_path, 3, num_shards=1)
  model = config.Detector(input_size=[64, 128, 3], max_level=5)
  sheets = []
  for parser in (config.Parser(), config.Parser(aug_rand_hflip=True, aug_scale_min=0.5, aug_scale_max=2.0)):
    data = config.DataConfig(input_path=pattern, is_training=True, parser=parser)
    for _ in range(2):
      write_contact_sheet(tmp_path / 'drawn' / 'sheet.png', data, model, columns=2, rows=2)
      sheets.append(np.asarray(Image.open(tmp_path / 'drawn' / 'sheet.png')))
  plain, again, augmented, _ = sheets
  assert plain.shape == (2 * 64 + 4, 2 * 128 + 4, 3)
  np.testing.assert_array_equal(plain, again)
  assert not np.array_equal(plain, augmented)
  for sheet in (plain, augmented):
    assert np.all(sheet == (255, 209, 102), axis=-1).sum() > 50, 'no box is drawn'


def test_missing_records_are_named(tmp_path):
  data = config.DataConfig(input_path=str(tmp_path / 'none-*'), is_training=True)
  with pytest.raises(FileNotFoundError, match='none-'):
    write_contact_sheet(tmp_path / 'sheet.png', data, config.Detector(input_size=[64, 64, 3], max_level=5))
