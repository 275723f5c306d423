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

"""Loads a trained detector of any format behind one interface."""

import os

from nasfpn_tf.artifacts import formats
from nasfpn_tf.modeling import precision
from nasfpn_tf.predict import shipped
from nasfpn_tf.predict.predictor import Predictor


def load_predictor(
  path: str, checkpoint: str | None = None, trust: bool = False, dtype: str = precision.FLOAT32
) -> Predictor:
  """Loads a detector in whatever format it is.

  Args:
    path: a .tflite, a SavedModel or the directory of its versions (the highest is taken), a model_dir of a training, or
      the name of a detector that comes with the package (`shipped.DETECTORS`).
    checkpoint: of a model_dir: prefix of a checkpoint; None: its best.
    trust: load a SavedModel whose graph could read or write files, too; see `artifacts.saved_model`.
    dtype: of a model_dir: 'float32', 'bfloat16' or 'auto' (what is faster on this machine); exports have their own.

  Raises:
    TypeError: `path` is neither text nor a path.
    FileNotFoundError: there is nothing of the kind.
    ValueError: it is there but broken, not made by this project, not safe to load, or of a format without NMS.
  """
  if not isinstance(path, str | os.PathLike):
    raise TypeError(f'a detector is loaded by its path or name, not from {path!r}{shipped.described()}.')
  if not os.fspath(path):
    raise FileNotFoundError(f'the path of the detector is empty{shipped.described()}.')
  path = os.fspath(path)
  try:
    entry, path = formats.locate(shipped.path_of(path))
  except FileNotFoundError as error:
    raise FileNotFoundError(f'{str(error).rstrip(".")}{shipped.described()}.') from error
  if entry.predictor is None:
    raise ValueError(f'{path}: {entry.description} has no NMS, so it gives no detections; benchmark.py can time it.')
  if not trust:
    entry.check(path)
  make = formats.load(entry.predictor)
  if entry.takes_checkpoint:
    return make(path, checkpoint, dtype)
  if dtype != precision.FLOAT32:
    raise ValueError(f'{path}: {entry.description} has a fixed precision; choose it when you export.')
  return make(path)
