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

"""Detections in pictures from a trained detector in any of its forms: a checkpoint, a SavedModel or a .tflite.

Example:
  predictor = load_predictor('runs/cells')             # or 'exported/cells', or 'cells.tflite'
  found = predictor(read_image('picture.jpg'))
  print(found.boxes, found.scores, found.names)
"""

from nasfpn_tf.predict.at_exit import AtExit
from nasfpn_tf.predict.deadline import Deadline
from nasfpn_tf.predict.evaluation import compare_ap, evaluate_records
from nasfpn_tf.predict.files import find_images, predict_files, read_image
from nasfpn_tf.predict.loading import load_predictor
from nasfpn_tf.predict.predictor import Detections, Predictor, State

__all__ = [
  'AtExit',
  'Deadline',
  'Detections',
  'Predictor',
  'State',
  'compare_ap',
  'evaluate_records',
  'find_images',
  'load_predictor',
  'predict_files',
  'read_image',
]
