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
"""Reads the variables of a TensorFlow 1 checkpoint, which has names and no graph of objects."""

import glob
import os
import re

import numpy as np
import tensorflow as tf

from nasfpn_tf.artifacts import checkpoint_index, layout

# What training adds beside the weights: the step, and the optimiser's and the averages' copies of every variable.
_NOT_WEIGHTS = re.compile(r'(^|/)(global_step|Momentum|ExponentialMovingAverage|Adam(_1)?|RMSProp(_1)?)$')


def read(path: str) -> dict[str, np.ndarray]:
  """Reads every weight, without optimiser state.

  Args:
    path: prefix of the checkpoint, '.../model.ckpt-1000', or the directory that holds one.

  Returns:
    {name: value}.

  Raises:
    FileNotFoundError: there is no such checkpoint.
    ValueError: it is damaged, it is of TensorFlow 2, or a directory holds several.
  """
  path = prefix(path)
  try:
    reader = tf.train.load_checkpoint(path)
    names = sorted(reader.get_variable_to_shape_map())
    if '_CHECKPOINTABLE_OBJECT_GRAPH' in names:
      raise ValueError(
        f'checkpoint {path!r} is of TensorFlow 2, and a checkpoint of TensorFlow 1 is wanted: if it is of Model Garden,'
        ' --from=model_garden reads it, if of the Object Detection API, --from=object_detection_api.'
      )
    values = {name: reader.get_tensor(name) for name in names if not _NOT_WEIGHTS.search(name)}
  except (tf.errors.OpError, RuntimeError, IndexError) as error:  # IndexError: the file is too short.
    reason = str(error).strip().splitlines()[0]
    raise ValueError(f'checkpoint {path!r} is damaged or not whole ({reason}): download it again.') from error
  bad = [name for name, value in values.items() if value.dtype.kind == 'f' and not np.isfinite(value).all()]
  if bad:
    raise ValueError(f'checkpoint {path!r} has weights that are NaN or infinite: {", ".join(bad[:3])}.')
  return values


def prefix(path: str) -> str:
  """Returns the prefix of a checkpoint that `path` is, names a file of, or holds; raises as `read`."""
  if os.path.isdir(path):
    found = sorted(glob.glob(os.path.join(glob.escape(path), '**', '*.index'), recursive=True))
    # A SavedModel beside the checkpoint holds the same variables once more.
    found = [file for file in found if not file.endswith('variables/variables.index')] or found
    if not found and glob.glob(os.path.join(glob.escape(path), '*.pth')):
      raise ValueError(f'{path} holds a checkpoint of PyTorch: --from=mmdet reads that of mmdetection.')
    if len(found) != 1:
      which = f'{len(found)} checkpoints ({", ".join(found[:3])})' if found else 'no checkpoint (no file *.index)'
      raise ValueError(f'{path} holds {which}: give the prefix of one, such as .../model.ckpt-1000.')
    path = found[0]
  if path.endswith('.pth') and os.path.isfile(path):
    raise ValueError(f'{path} is a checkpoint of PyTorch: --from=mmdet reads that of mmdetection.')
  path = re.sub(r'\.(index|data-\d+-of-\d+)$', '', path)
  if not os.path.exists(path + '.index'):
    if os.path.isfile(path):
      raise ValueError(
        f'{path} is no checkpoint of TensorFlow, which is a file *.index and one or more *.data-*: give their prefix,'
        ' such as .../model.ckpt-1000, or their directory.'
      )
    raise FileNotFoundError(f'checkpoint {path!r} does not exist: there is no {path}.index.')
  layout.check_path(path)
  problem = checkpoint_index.problem(path)
  if problem:
    raise ValueError(f'checkpoint {path!r} is damaged or not whole ({problem}): download it again.')
  return path
