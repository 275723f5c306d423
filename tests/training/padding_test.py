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

"""Filled evaluation batches: static shape, every image kept, and nothing but blank images left over by any replicas."""

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.training import padding


def dataset(num_images, batch_size):
  def example(i):
    labels = {'source_id': i, 'cls_weights': tf.ones([6]), 'cls_targets': {'3': tf.ones([2, 2, 3], tf.int32)}}
    return tf.fill([8, 8, 3], tf.cast(i, tf.float32)), labels

  return tf.data.Dataset.range(1, num_images + 1).map(example).batch(batch_size)


@pytest.mark.parametrize('num_images, replicas', [(8, 1), (7, 1), (7, 2), (8, 2), (9, 4), (1, 8)])
def test_every_image_once_in_full_groups(num_images, replicas):
  batch_size = 2
  filled = padding.fill_batches(dataset(num_images, batch_size), batch_size, num_extra=replicas - 1)
  batches = list(filled)
  groups = len(batches) // replicas  # A strategy takes whole groups of static batches and drops the rest.
  ids = np.concatenate([labels['source_id'] for _, labels in batches[: groups * replicas]])
  assert sorted(ids[ids != padding.FILLER_ID]) == list(range(1, num_images + 1))
  assert all(images.shape == (batch_size, 8, 8, 3) for images, _ in batches)


def test_shapes_are_static_and_blank_images_weigh_nothing():
  filled = padding.fill_batches(dataset(3, 2), 2, num_extra=1)
  for spec in tf.nest.flatten(filled.element_spec):
    assert spec.shape.is_fully_defined()
  batches = list(filled)
  assert len(batches) == 3
  images, labels = batches[1]
  assert labels['source_id'].numpy().tolist() == [3, padding.FILLER_ID]
  assert np.all(images[1] == 0) and np.all(labels['cls_weights'][1] == 0)
  assert batches[2][1]['source_id'].numpy().tolist() == [padding.FILLER_ID] * 2
