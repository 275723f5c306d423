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

from nasfpn_tf.artifacts import checkpoint_index, layout, saved_model
from nasfpn_tf.modeling.weights import restore
from nasfpn_tf.predict import measurement
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


def _with_damage_in_the_second_block(index):
  changed = bytearray(index.read_bytes())
  assert len(changed) > 2**18 + 2**17
  changed[2**18 + 2**16] ^= 1
  index.write_bytes(changed)


def _with_long_names():
  module = tf.Module()
  for i in range(100):
    setattr(module, f'v{i:03d}' * 1000, tf.Variable([1.0, 2.0]))
  return module


def test_variables_of_a_damaged_block_are_not_left_out(tmp_path):
  """TensorFlow reads the other blocks and knows of no more variables."""
  prefix = tf.train.Checkpoint(model=_with_long_names()).write(str(tmp_path / 'ckpt-0'))
  (tmp_path / layout.PARAMS).touch()
  assert checkpoints.resolve(prefix) == prefix
  assert measurement.size_bytes(str(tmp_path), prefix) == 800
  _with_damage_in_the_second_block(pathlib.Path(f'{prefix}.index'))
  for read in (checkpoints.resolve, lambda path: measurement.size_bytes(str(tmp_path), path)):
    with pytest.raises(
      ValueError, match=r"ckpt-0' is damaged or not whole \(.*ckpt-0\.index: a wrong checksum\): copy"
    ):
      read(prefix)


def test_the_index_of_a_saved_model_is_named(tmp_path):
  tf.saved_model.save(_with_long_names(), str(tmp_path))
  saved_model.load(str(tmp_path))
  _with_damage_in_the_second_block(tmp_path / 'variables' / 'variables.index')
  with pytest.raises(ValueError, match=r'variables/variables\.index: a wrong checksum; .*export it again'):
    saved_model.load(str(tmp_path))
