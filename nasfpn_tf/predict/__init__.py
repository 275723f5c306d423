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

"""Finds objects in images with a trained detector of any format: a checkpoint, a SavedModel or a .tflite.

Example:
  detector = load('runs/cells')             # or 'exported/cells', or 'cells.tflite'
  found = detector('image.jpg')             # or an array, a PIL image, or a list of these
  print(found.boxes, found.scores, found.names)

`load` makes a `Detector`, which takes whatever holds an image. `load_predictor` makes the `Predictor` behind it, which
takes arrays and keeps every score.
"""

from nasfpn_tf.predict.at_exit import AtExit
from nasfpn_tf.predict.deadline import Deadline
from nasfpn_tf.predict.detections import Detections
from nasfpn_tf.predict.detector import Detector, load
from nasfpn_tf.predict.evaluation import compare_ap, evaluate_records
from nasfpn_tf.predict.files import Outcome, predict_files
from nasfpn_tf.predict.inputs import Inputs, find_images, find_inputs
from nasfpn_tf.predict.loading import load_predictor
from nasfpn_tf.predict.predictor import Predictor, State
from nasfpn_tf.predict.reading import as_image, read_image
from nasfpn_tf.predict.video import predict_video

__all__ = [
  'AtExit',
  'Deadline',
  'Detections',
  'Detector',
  'Inputs',
  'Outcome',
  'Predictor',
  'State',
  'as_image',
  'compare_ap',
  'evaluate_records',
  'find_images',
  'find_inputs',
  'load',
  'load_predictor',
  'predict_files',
  'predict_video',
  'read_image',
]
