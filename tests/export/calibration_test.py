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

"""Tests of the images for quantization."""

import numpy as np
import pytest

from nasfpn_tf.data.input import preprocess
from nasfpn_tf.export import calibration
from tests.training import rectangles


@pytest.fixture(scope='module')
def records(tmp_path_factory):
  """Records of 12 images in 3 shards."""
  return rectangles.write(tmp_path_factory.mktemp('records'), num_images=12, num_shards=3)


def test_distinct_images_from_every_shard(records):
  images = calibration.load_images(records, 100)
  assert len(images) == len({image.tobytes() for image in images}) == 12
  assert all(image.shape == (128, 128, 3) and image.dtype == np.uint8 for image in images)


def test_the_same_images_every_time(records):
  first, second = (calibration.load_images(records, 10) for _ in range(2))
  assert len(first) == 10
  for a, b in zip(first, second, strict=True):
    np.testing.assert_array_equal(a, b)


def test_an_image_counts_once(records, tmp_path):
  few = rectangles.write(tmp_path, num_images=6)
  with pytest.raises(ValueError, match=r'6 distinct images .* at least 10'):
    calibration.load_images(f'{few},{few},{few}', 100)
  assert len(calibration.load_images(f'{records},{records}', 100)) == 12


def test_another_set_fills_up_a_small_one(records, tmp_path):
  few = rectangles.write(tmp_path, num_images=6, seed=1)
  large = calibration.load_images(records, 100)
  assert len(calibration.load_images(f'{few},{records}', 100)) == 18
  both = calibration.load_images(f'{few},{records}', 10)
  np.testing.assert_array_equal(both[6:], large[:4])
  assert len(calibration.load_images(f'{records},{few}', 12)) == 12


def test_records_that_do_not_exist(tmp_path):
  with pytest.raises(FileNotFoundError, match='absent'):
    calibration.load_images(str(tmp_path / 'absent'), 100)


@pytest.mark.parametrize(
  ('content', 'message'), [(b'no record at all', 'record 0'), (b'', '0 distinct images')], ids=['broken', 'empty']
)
def test_a_broken_or_empty_file_is_named(tmp_path, content, message):
  (tmp_path / 'x-00000-of-00001.tfrecord').write_bytes(content)
  with pytest.raises(ValueError, match=rf'/x-.*{message}'):
    calibration.load_images(str(tmp_path / 'x-*'), 100)


def test_inputs_are_what_serving_makes_of_an_image():
  image = np.full([50, 100, 3], 200, np.uint8)
  (inputs,) = calibration.to_inputs([image], (128, 128))
  assert inputs.shape == (1, 128, 128, 3)
  np.testing.assert_allclose(inputs[0, :64], 200, atol=1e-3)
  np.testing.assert_allclose(inputs[0, 64:], np.broadcast_to(preprocess.MEAN, [64, 128, 3]), atol=1e-3)
