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

"""Starts a detector from a checkpoint of one with other exits: one exit to anytime detection, and back."""

import tensorflow as tf
import tf_keras
from official.vision.modeling import retinanet_model

from nasfpn_tf.modeling import anytime, restore

_EARLY = 'early_heads'


def read_other_exits(model: retinanet_model.RetinaNetModel, path: str) -> bool:
  """Sets the weights of `model` from a checkpoint whose detector has other exits.

  Every exit of an anytime detector starts with the one head of a checkpoint with one exit. A detector with one exit
  and k pyramids starts with pyramids and head of exit k of a checkpoint of an anytime detector.

  Args:
    model: what `build_detector` returns.
    path: prefix of the checkpoint.

  Returns:
    False, and nothing is read, where model and checkpoint have the same exits.

  Raises:
    AssertionError, ValueError: the checkpoint is of another architecture.
  """
  children = restore.children(path)
  num_exits = len(children.get(_EARLY, ())) + 1
  if isinstance(model, anytime.AnytimeRetinaNet):
    if num_exits > 1 or model.num_exits == 1:
      return False
    _read(path, {name: item for name, item in model.checkpoint_items.items() if name != _EARLY})
    anytime.copy_head(model)
    return True
  num_repeats = getattr(model.decoder, 'num_repeats', num_exits)
  if num_repeats >= num_exits:
    return False  # The head of the last exit lies where the head of a detector with one exit lies.
  heads = tf.Module()
  setattr(heads, str(num_repeats - 1), model.head)
  _read(path, {'backbone': model.backbone, 'decoder': model.decoder, _EARLY: heads})
  return True


def _read(path: str, items: dict[str, tf_keras.layers.Layer | tf.Module]) -> None:
  status = tf.train.Checkpoint(**items).read(path)
  status.expect_partial().assert_existing_objects_matched()
