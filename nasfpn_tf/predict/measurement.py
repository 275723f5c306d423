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

"""Measures a detector of any format: COCO's metrics, time per image, size."""

import statistics
import time

import numpy as np
import tensorflow as tf

from nasfpn_tf import processor, zoo
from nasfpn_tf.artifacts import layout
from nasfpn_tf.predict.detections import Detections
from nasfpn_tf.predict.evaluation import evaluate_records
from nasfpn_tf.predict.predictor import Predictor
from nasfpn_tf.training import checkpoints

RESULT = 'evaluation.json'
_WARM_UP = 3  # Images whose time does not count: tracing, allocation, caches.


class Timed:
  """A predictor that keeps the seconds of every call, from the decoded image to its boxes; as safe to share as it."""

  def __init__(self, predictor: Predictor):
    """Wraps `predictor`."""
    self._predictor = predictor
    self.labels = predictor.labels
    self.seconds: list[float] = []

  def __call__(self, image: np.ndarray) -> Detections:
    """Finds objects like `predictor` does, and keeps the time."""
    started = time.perf_counter()
    found = self._predictor(image)
    self.seconds.append(time.perf_counter() - started)
    return found


def measure(
  predictor: Predictor, path: str, input_path: str, annotations: str | None = None, checkpoint: str | None = None
) -> dict:
  """Runs a detector on all images of TFRecords, one at a time.

  Args:
    predictor: what `load_predictor` made of `path`.
    path: where the detector lies.
    input_path: the records.
    annotations: COCO JSON with the same image ids; None: see `evaluate_records`.
    checkpoint: of a model_dir, that `predictor` was made from; None: its best.

  Returns:
    What evaluation.json holds: `model`, `num_images`, `size_bytes`, `latency_ms` (median of an image; None with too
    few), `threads` (processors that it could use), COCO's twelve metrics by name and `per_category`.

  Raises:
    FileNotFoundError, ValueError: see `evaluate_records`.
  """
  timed = Timed(predictor)
  metrics = evaluate_records(timed, input_path, annotations)
  counted = timed.seconds[_WARM_UP:]
  return {
    'model': path,
    'num_images': len(timed.seconds),
    'size_bytes': size_bytes(path, checkpoint),
    'latency_ms': 1000 * statistics.median(counted) if counted else None,
    'threads': processor.num_cores(),
    **{key: value for key, value in metrics.items() if not key.startswith('AP/')},
    'per_category': {key.removeprefix('AP/'): value for key, value in metrics.items() if key.startswith('AP/')},
  }


def size_bytes(path: str, checkpoint: str | None = None) -> int:
  """Returns the bytes of a .tflite, of all files of a SavedModel, or of the weights of a model_dir: unset, its best."""
  if layout.is_model_dir(path):
    return _weight_bytes(checkpoints.resolve(checkpoint or zoo.best_checkpoint(path)))
  return layout.size_bytes(path)


def _weight_bytes(checkpoint: str) -> int:
  """Returns the bytes of the model's variables alone; a checkpoint also has two optimizer slots for each."""
  reader = tf.train.load_checkpoint(checkpoint)
  dtypes = reader.get_variable_to_dtype_map()
  return sum(
    int(np.prod(shape)) * dtypes[name].size
    for name, shape in reader.get_variable_to_shape_map().items()
    if name.split('/')[0] in ('backbone', 'decoder', 'head', 'model') and '.OPTIMIZER_SLOT' not in name
  )
