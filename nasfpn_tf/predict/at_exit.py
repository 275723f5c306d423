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

"""Runs an anytime detector up to a fixed exit."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nasfpn_tf.predict.detections import Detections
from nasfpn_tf.predict.predictor import Predictor


class AtExit:
  """A predictor that always stops at the same exit; as safe to share between threads as the one it is made from.

  Example:
    predictor = AtExit(load_predictor('exported/anytime.tflite'), exit_stage=1)

  Attributes:
    labels: the predictor's.
  """

  def __init__(self, predictor: Predictor, exit_stage: int):
    """Takes an anytime detector in any form.

    Raises:
      ValueError: there is no such exit.
    """
    if predictor.num_exits < 2:
      raise ValueError(
        'There are no exits to choose from: the detector was trained without task.model.anytime.enabled.'
      )
    if not 1 <= exit_stage <= predictor.num_exits:
      raise ValueError(f'Exit {exit_stage}: the exits of this detector are 1 to {predictor.num_exits}.')
    self._predictor = predictor
    self._exit_stage = exit_stage
    self.labels = predictor.labels

  def __call__(self, image: np.ndarray) -> Detections:
    """Finds objects in one image; nothing of later pyramids is computed."""
    state = self._predictor.begin(image)
    while state.exit_stage < self._exit_stage:
      state = self._predictor.refine(state)
    return self._predictor.detect(state)

  def label_of(self, label: int) -> Mapping[str, Any]:
    """See `Predictor`."""
    return self._predictor.label_of(label)
