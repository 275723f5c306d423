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

"""Runs a SavedModel as a predictor."""

import numpy as np
import tensorflow as tf

from nasfpn_tf.artifacts import saved_model, signatures
from nasfpn_tf.data.records import label_names
from nasfpn_tf.predict.predictor import Predictor


class SavedModelPredictor(Predictor):
  """A SavedModel of `export_saved_model.py`.

  Safe to share between threads, which run at once: its signatures are finished graphs without a state.
  """

  def __init__(self, directory: str):
    """Loads the SavedModel in `directory`; a ValueError where it is another's."""
    loaded = saved_model.load(directory)
    self._run, raw = (loaded.signatures.get(name) for name in (signatures.IMAGE_TENSOR, signatures.RAW))
    self._loaded = loaded  # A signature does not keep its variables alive.
    if self._run is None or raw is None or 'detection_boxes' not in self._run.structured_outputs:
      raise ValueError(f'{directory}: no signature image_tensor with detections; was it made by export_saved_model.py?')
    # There is no column for the background.
    super().__init__(label_names.of_model(directory, raw.structured_outputs['class_logits'].shape[-1] + 1))
    self._copies = self._run.structured_input_signature[1]['inputs'].shape[0] or 1
    self.num_exits = signatures.count_exits(loaded.signatures)

  def _detect(self, image):
    return self._first(self._run(inputs=self._batch(image)))

  def _begin(self, image):
    return self._loaded.signatures[signatures.BEGIN](inputs=self._batch(image))

  def _refine(self, value, exit_stage):
    return self._loaded.signatures[signatures.refine_key(exit_stage)](**value)

  def _finish(self, value, exit_stage):
    return self._first(self._loaded.signatures[signatures.detect_key(exit_stage)](**value))

  def _batch(self, image):
    return tf.constant(np.repeat(image[np.newaxis], self._copies, axis=0))

  def _first(self, outputs):
    return tuple(signatures.detections_of(outputs).values())
