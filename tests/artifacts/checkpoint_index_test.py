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
"""A damaged `.index` of a checkpoint is found, whatever byte is damaged."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.artifacts import checkpoint_index
from nasfpn_tf.modeling.weights import restore
from nasfpn_tf.public_weights import importing
from nasfpn_tf.training import checkpoints
from tests import testing

NARROW = testing.repo_root() / 'tests' / 'public_weights' / 'data' / 'tpu_r50_fpn' / 'model.ckpt-0.index'


@pytest.fixture
def checkpoint(tmp_path):
  """Prefix of a checkpoint of TensorFlow 2, and its index."""
  module = tf.Module()
  module.values = [tf.Variable(np.zeros([2, 3])) for _ in range(200)]
  prefix = tf.train.Checkpoint(model=module).write(str(tmp_path / 'ckpt-0'))
  return prefix, pathlib.Path(f'{prefix}.index')


def test_whole_indices_pass(checkpoint, tmp_path):
  assert checkpoint_index.problem(checkpoint[0]) is None
  assert checkpoint_index.problem(str(NARROW.with_suffix(''))) is None
  tf.train.Checkpoint().write(str(tmp_path / 'empty'))
  assert checkpoint_index.problem(str(tmp_path / 'empty')) is None


@pytest.mark.parametrize('bits', [1, 128, 255])
def test_every_flipped_byte_is_found(tmp_path, bits):
  content, file = NARROW.read_bytes(), tmp_path / 'flipped.index'
  step = 37  # All bytes of the footer, and many of the rest.
  places = {*range(0, len(content), step), *range(len(content) - 80, len(content))}
  for place in sorted(places):
    changed = bytearray(content)
    changed[place] ^= bits
    file.write_bytes(changed)
    assert checkpoint_index.problem(str(tmp_path / 'flipped')) is not None, place


@pytest.mark.parametrize('size', [0, 10, 47, 48, 5000, -1])
def test_a_part_of_an_index_is_no_index(tmp_path, size):
  (tmp_path / 'part.index').write_bytes(NARROW.read_bytes()[:size])
  assert checkpoint_index.problem(str(tmp_path / 'part')).startswith(str(tmp_path / 'part.index: '))


def test_a_block_that_was_left_out_is_missed(tmp_path):
  content = NARROW.read_bytes()
  (tmp_path / 'more.index').write_bytes(b'x' + content)
  assert checkpoint_index.problem(str(tmp_path / 'more')) is not None


def test_every_reader_names_it(checkpoint, tmp_path):
  prefix, index = checkpoint
  assert checkpoints.broken(prefix) is None
  changed = bytearray(index.read_bytes())
  changed[len(changed) // 3] ^= 1
  index.write_bytes(changed)
  assert 'ckpt-0.index: a wrong checksum' in checkpoints.broken(prefix)
  with pytest.raises(ValueError, match=r'ckpt-0.*damaged.*ckpt-0\.index: a wrong checksum'):
    restore.children(prefix)
  for framework in ('tpu', 'model_garden', 'object_detection_api', 'automl'):
    with pytest.raises(ValueError, match=r"ckpt-0' is damaged or not whole \(.*\.index: a wrong checksum\): download"):
      importing.import_checkpoint(framework, prefix, str(tmp_path / 'run'))
