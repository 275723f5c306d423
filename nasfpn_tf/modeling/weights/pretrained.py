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
"""Finds the weights that a backbone starts from: those of a Keras file, those that come with the package, or none."""

import importlib.resources
import os

import h5py
import tensorflow as tf
import tf_keras
from absl import logging
from tf_keras.src.saving.legacy import hdf5_format

from nasfpn_tf import config
from nasfpn_tf.modeling.weights import compact
from nasfpn_tf.modeling.weights.load_report import LoadReport

SHIPPED = {'blood_cells': 'pretrained/blood_cells_backbone.npz'}  # Name -> file in the package.


def without_pretrained_weights(model_config: config.Detector) -> config.Detector:
  """Returns a copy of a model's configuration whose backbone reads no file of weights.

  For models whose weights a checkpoint brings, or of which only the structure counts.
  """
  backbone = model_config.backbone
  if not hasattr(backbone.get(), 'weights'):
    return model_config.replace()
  return model_config.replace(backbone={backbone.type: {'weights': 'none'}})


def load_weights(network: tf_keras.Model, path: str) -> LoadReport:
  """Sets the variables of a network from a file, layer by layer by name.

  Args:
    network: the network; every one of its variables has to be in the file.
    path: what `save_weights` or `save` wrote in HDF5, a file of `compact.save_weights`, or one of `SHIPPED`.

  Returns:
    What was set, and which layers of the file were not needed.

  Raises:
    OSError: if the file is missing or not of its format.
    ValueError: naming the file, and the first layers or variables that are missing or have another shape.
  """
  if path in SHIPPED:
    path = os.fspath(importlib.resources.files('nasfpn_tf') / SHIPPED[path])
  if path.endswith(compact.SUFFIX):
    return compact.load_weights(network, path)
  if not tf.io.gfile.exists(path):
    raise FileNotFoundError(f'weight file {path!r} does not exist.')
  problems, matched, values = [], [], []
  try:
    file = h5py.File(path, 'r')
  except OSError as e:
    raise OSError(f'weight file {path!r} is not a Keras .h5 file: {e}.') from e
  with file:
    groups = file.get('model_weights', file)
    if 'layer_names' not in groups.attrs and 'layer_names0' not in groups.attrs:
      raise ValueError(f'weight file {path!r} is HDF5, but not of Keras: it lists no layers.')
    names = hdf5_format.load_attributes_from_hdf5_group(groups, 'layer_names')
    stored = {name: hdf5_format.load_attributes_from_hdf5_group(groups[name], 'weight_names') for name in names}
    stored = {name: weight_names for name, weight_names in stored.items() if weight_names}
    found = set()
    for layer in network.layers:
      if not layer.weights:
        continue
      if layer.name not in stored:
        problems.append(f'layer {layer.name} is not in the file')
        continue
      found.add(layer.name)
      arrays = [groups[layer.name][name][()] for name in stored[layer.name]]
      if len(arrays) != len(layer.weights):
        problems.append(f'layer {layer.name} has {len(layer.weights)} variables, {len(arrays)} in the file')
        continue
      for variable, array in zip(layer.weights, arrays, strict=True):
        if tuple(variable.shape) != array.shape:
          problems.append(f'{variable.name} has shape {tuple(variable.shape)}, {array.shape} in the file')
        matched.append(variable)
        values.append(array)
  if problems:
    more = f' ({len(problems)} differences in all)' if len(problems) > 3 else ''
    raise ValueError(
      f'weight file {path!r} does not fit {network.name}: {"; ".join(problems[:3])}{more}. Is it of another network or'
      ' width (applications.name, applications.alpha)?'
    )
  tf_keras.backend.batch_set_value(list(zip(matched, values, strict=True)))
  unused = tuple(sorted(set(stored) - found))
  report = LoadReport(path, tuple(f'{network.name}/{v.name}' for v in matched), unused=unused)
  logging.info('%s', report)
  return report
