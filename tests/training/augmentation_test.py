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

"""The configuration's augmentations: the older keys give what they gave before, and a new operation is one file."""

import json

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf import config
from nasfpn_tf.data.input import augment
from nasfpn_tf.data.input.augment import operation
from nasfpn_tf.training.inputs import build_augmentation
from tests import testing

SIZE = (96, 128)
# Written by the code as it was before augmentations became a list of operations.
RECORDED = json.loads((testing.repo_root() / 'tests/data/input/augment/recorded.json').read_text())

SHADE = '''
import dataclasses
from typing import ClassVar

from nasfpn_tf.data.input.augment.operation import Operation, register


@register
@dataclasses.dataclass(frozen=True)
class Shade(Operation):
  """Darkens an image and drops what is left of the boxes' lower half."""

  name: ClassVar[str] = 'shade_for_test'
  factor: float = 0.5

  def __call__(self, image, boxes, seed):
    return image * self.factor, boxes * [1.0, 1.0, 0.5, 1.0]
'''


def picture() -> tuple[np.ndarray, np.ndarray]:
  """Squares of 20 pixels in random colors, and three boxes."""
  colors = np.random.default_rng(7).integers(0, 256, [6, 8, 3])
  boxes = np.float32([[0.1, 0.2, 0.5, 0.6], [0.55, 0.5, 0.95, 0.9], [0.0, 0.75, 0.2, 1.0]])
  return np.kron(colors, np.ones([20, 20, 1])).astype(np.uint8), boxes


def augmentation(**settings):
  parser = config.Parser()
  parser.override(settings)
  return build_augmentation(parser)


@pytest.mark.parametrize('name', RECORDED)
def test_the_older_keys_give_what_they_gave(name):
  augment_image = tf.function(lambda *args: augmentation(**RECORDED[name]['settings'])(*args, SIZE))
  for run in RECORDED[name]['runs']:
    image, boxes, image_info = (x.numpy() for x in augment_image(*picture(), tf.constant(run['seed'], tf.int64)))
    assert list(image.shape) == run['shape']
    np.testing.assert_allclose(boxes, run['boxes'], atol=2e-3)
    np.testing.assert_allclose(image_info, run['info'], atol=2e-4)
    np.testing.assert_allclose(image.mean((0, 1)), run['mean'], atol=0.05)
    np.testing.assert_allclose(image.std((0, 1)), run['std'], atol=0.05)
    np.testing.assert_allclose(image[image.shape[0] // 2, ::16], run['row'], atol=0.2)


def test_a_new_operation_is_one_file(tmp_path, monkeypatch):
  (tmp_path / 'shade_for_test.py').write_text(SHADE)
  monkeypatch.setattr(augment, '__path__', [*augment.__path__, str(tmp_path)])
  monkeypatch.setattr(operation, '_OPERATIONS', dict(operation._OPERATIONS))
  assert 'shade_for_test' in operation.names()
  seed = tf.constant([1, 2])
  plain, plain_boxes, _ = augmentation()(*picture(), seed, SIZE)
  shaded, boxes, _ = augmentation(aug_operations=['shade_for_test(factor=0.25)'])(*picture(), seed, SIZE)
  np.testing.assert_allclose(shaded, plain * 0.25, atol=1e-3)
  np.testing.assert_allclose(boxes, plain_boxes * [1.0, 1.0, 0.5, 1.0], atol=1e-3)


def test_listed_operations_run_with_their_settings():
  seed = tf.constant([3, 4])
  by_key = augmentation(aug_rand_hflip=True, aug_color=0.5)(*picture(), seed, SIZE)
  by_list = augmentation(aug_operations=['horizontal_flip', 'color(strength=0.5)'])(*picture(), seed, SIZE)
  for left, right in zip(by_key, by_list, strict=True):
    np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('horizontl_flip', r"'horizontl_flip' is unknown; did you mean 'horizontal_flip'.*known are autoaugment, color"),
    ('color(strenght=0.4)', "has no setting 'strenght'; it has strength"),
    ('color(strength=2)', 'must be from 0 to 1, got 2'),
    ('color(strength="much")', "augmentation 'color"),
    ('color(0.4)', 'must be'),
    ('color(strength=open)', 'must be'),
    ('', 'must be'),
  ],
)
def test_unusable_operations(text, message):
  with pytest.raises(ValueError, match=message):
    augmentation(aug_operations=[text])


def test_an_operation_that_loses_a_box_is_refused():
  class Loses(operation.Operation):
    name = 'loses'

    def __call__(self, image, boxes, seed):
      return image, boxes[1:]

  faulty = augment.augmentation.Augmentation((Loses(),))
  with pytest.raises(tf.errors.InvalidArgumentError, match="'loses' changed the number of boxes"):
    faulty(*picture(), tf.constant([0, 0]), SIZE)
