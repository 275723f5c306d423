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
"""Keeps a network's weights small: int8 kernels with a scale per output channel, everything else in float16.

A quarter of the size of a Keras file; the kernels have the precision of an int8 .tflite. This is how the backbone of
the blood-cell detector travels with the package, a start for trainings on machines without ImageNet weights.
"""

import io
import os
import zipfile
import zlib

import numpy as np
import tf_keras
from absl import logging

from nasfpn_tf import whole_file
from nasfpn_tf.modeling.weights.load_report import LoadReport

SUFFIX = '.npz'


def save_weights(network: tf_keras.Model, path: str) -> None:
  """Writes the weights of a network, in the order of its layers, under the layers' names.

  Args:
    network: a flat network; kernels have their output channels last, those of depthwise convolutions last but one.
    path: file to write, '*.npz'.
  """
  arrays = {}
  for layer in network.layers:
    for number, value in enumerate(layer.get_weights()):
      key = f'{layer.name}/{number}'
      if value.ndim < 2:
        arrays[key] = value
        continue
      scale = np.abs(value).max(axis=_reduced(layer, value), keepdims=True) / 127.0
      arrays[f'{key}/scale'] = scale.astype(np.float32)
      arrays[key] = np.rint(value / np.maximum(scale, np.finfo(np.float32).tiny)).astype(np.int8)
  content = io.BytesIO()
  np.savez_compressed(content, **arrays)
  whole_file.write_bytes(path, content.getvalue())


def load_weights(network: tf_keras.Model, path: str) -> LoadReport:
  """Sets the variables of a network from what `save_weights` wrote, layer by layer by name.

  Args:
    network: the network; every one of its variables has to be in the file.
    path: the file.

  Returns:
    What was set.

  Raises:
    FileNotFoundError: there is no such file.
    OSError: it is no .npz file.
    ValueError: naming the file, and the first variables that are missing or have another shape.
  """
  if not os.path.isfile(path):
    raise FileNotFoundError(f'weight file {path!r} does not exist.')
  try:
    with np.load(path, allow_pickle=False) as file:
      stored = dict(file)
  except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as e:
    raise OSError(f'weight file {path!r} cannot be read as .npz: {e}.') from e
  matched, values, problems = [], [], []
  for layer in network.layers:
    for number, variable in enumerate(layer.weights):
      value = stored.get(f'{layer.name}/{number}')
      if value is None:
        problems.append(f'{variable.name} is not in the file')
      elif value.shape != tuple(variable.shape):
        problems.append(f'{variable.name} has shape {tuple(variable.shape)}, {value.shape} in the file')
      else:
        matched.append(variable)
        values.append(value.astype(np.float32) * stored.get(f'{layer.name}/{number}/scale', 1.0))
  if problems:
    raise ValueError(f'weight file {path!r} does not fit {network.name}: {"; ".join(problems[:3])}.')
  tf_keras.backend.batch_set_value(list(zip(matched, values, strict=True)))
  report = LoadReport(path, tuple(f'{network.name}/{variable.name}' for variable in matched))
  logging.info('%s', report)
  return report


def _reduced(layer: tf_keras.layers.Layer, value: np.ndarray) -> tuple[int, ...]:
  """Returns the axes that share a scale: all but the one of the output channels."""
  channels = value.ndim - (2 if isinstance(layer, tf_keras.layers.DepthwiseConv2D) else 1)
  return tuple(axis for axis in range(value.ndim) if axis != channels)
