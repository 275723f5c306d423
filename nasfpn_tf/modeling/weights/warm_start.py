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

"""Initializes a detector from a checkpoint: all of it, some parts, what fits, or a detector with other exits."""

from collections.abc import Sequence

import tensorflow as tf
from official.vision.modeling import retinanet_model

from nasfpn_tf.modeling import anytime
from nasfpn_tf.modeling.weights import restore
from nasfpn_tf.modeling.weights.load_report import LoadReport

FITTING = 'fitting'
_EARLY = 'early_heads'


def start(model: retinanet_model.RetinaNetModel, path: str, modules: str | Sequence[str]) -> LoadReport:
  """Loads the weights of a detector from a checkpoint of Model Garden or of an earlier training.

  Args:
    model: what `build_detector` returns.
    path: prefix of the checkpoint.
    modules: 'all'; or names of parts, such as ['backbone'] from a classifier; or 'fitting': the whole backbone, and
      what fits of the rest, such as all of a head but the last convolution for classes where their number differs.

  Returns:
    What was set, and what was not on either side.

  Raises:
    FileNotFoundError: if there is no such checkpoint.
    ValueError: naming the first variables that are missing or have another shape; nothing is set then.
  """
  items = model.checkpoint_items
  if modules == FITTING:
    return restore.restore_parts(items, path, must_fit=('backbone',))
  if modules == 'all':
    return read_other_exits(model, path) or restore.restore_parts(items, path)
  modules = [modules] if isinstance(modules, str) else modules
  unknown = [name for name in modules if name not in items]
  if unknown or not modules:
    raise ValueError(
      f'init_checkpoint_modules {unknown or modules} is no part of the model: it is all, {FITTING}, or a list of'
      f' {", ".join(items)}'
    )
  return restore.restore_parts({name: items[name] for name in modules}, path)


def read_other_exits(model: retinanet_model.RetinaNetModel, path: str) -> LoadReport | None:
  """Sets the weights of `model` from a checkpoint whose detector has other exits.

  Every exit of an anytime detector starts with the one head of a checkpoint with one exit. A detector with one exit
  and k pyramids starts with pyramids and head of exit k of a checkpoint of an anytime detector.

  Args:
    model: what `build_detector` returns.
    path: prefix of the checkpoint.

  Returns:
    What was set; None, and nothing is read, where model and checkpoint have the same exits.

  Raises:
    ValueError: the checkpoint is of another architecture.
  """
  children = restore.children(path)
  num_exits = len(children.get(_EARLY, ())) + 1
  if isinstance(model, anytime.AnytimeRetinaNet):
    if num_exits > 1 or model.num_exits == 1:
      return None
    items = {name: item for name, item in model.checkpoint_items.items() if name != _EARLY}
    report = restore.restore_parts(items, path)
    anytime.copy_head(model)
    return report
  num_repeats = getattr(model.decoder, 'num_repeats', num_exits)
  if num_repeats >= num_exits:
    return None  # The head of the last exit lies where the head of a detector with one exit lies.
  heads = tf.Module()
  setattr(heads, str(num_repeats - 1), model.head)
  return restore.restore_parts({'backbone': model.backbone, 'decoder': model.decoder, _EARLY: heads}, path)
