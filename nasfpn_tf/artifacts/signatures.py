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

"""Names the signatures of exported models, their inputs and their outputs.

A SavedModel has `image_tensor`, `image_bytes`, `tf_example` and `raw`. A SavedModel or
.tflite of a detector with several exits also has `exit_<k>` (from an image to the detections of exit k) and, to reuse
what was computed, `begin` (from an image to a state of exit 1), `refine_<k>` (from a state of exit k - 1 to one of exit
k) and `detect_<k>` (from a state to detections).
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

IMAGE_TENSOR, RAW, BEGIN = 'image_tensor', 'raw', 'begin'
INPUT_TYPES = ('image_bytes', IMAGE_TENSOR, 'tf_example')
INPUTS = 'inputs'

FIELDS = ('boxes', 'scores', 'classes')
# Outputs of a .tflite, in this order by signature, by position and by tensor index.
TFLITE_DETECTIONS = ('detection_boxes', 'detection_classes', 'detection_scores', 'num_detections')
TFLITE_RAW = ('box_encodings', 'class_scores')
# NMS of a .tflite: the model's in builtin operators, TFLite_Detection_PostProcess, or none.
TFLITE_NMS = ('builtin', 'post_process', 'none')


def exit_key(exit_stage: int | None) -> str | None:
  """Returns the signature from an image to the detections of an exit; for None it returns None, the only signature."""
  return None if exit_stage is None else f'exit_{exit_stage}'


def refine_key(exit_stage: int) -> str:
  """Returns the signature from the state of the previous exit to the state of this exit."""
  return f'refine_{exit_stage}'


def detect_key(exit_stage: int) -> str:
  """Returns the signature from the state of an exit to its detections."""
  return f'detect_{exit_stage}'


def steps_to(exit_stage: int) -> list[str]:
  """Returns the signatures that lead from an image to the state of an exit, in order."""
  return [BEGIN, *map(refine_key, range(2, exit_stage + 1))]


def count_exits(keys: Iterable[str]) -> int:
  """Returns the number of exits of a model with these signatures; 1 if none of them belongs to an exit."""
  return sum(key.startswith('exit_') for key in keys) or 1


def detections_of(outputs: Mapping[str, Any], row: int = 0) -> dict[str, np.ndarray]:
  """Returns the valid detections of one image of a batch: `boxes` [k, 4], `scores` [k] and `classes` [k]."""
  count = int(np.asarray(outputs['num_detections']).reshape(-1)[row])
  return {key: np.asarray(outputs[f'detection_{key}'])[row, :count] for key in FIELDS}
