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

"""Predicts classes and boxes from one tower, like the Object Detection API's FPNLite."""

from collections.abc import Mapping

import tensorflow as tf
import tf_keras
from official.vision.modeling.heads import dense_prediction_heads


@tf_keras.utils.register_keras_serializable(package='nasfpn_tf')
class SharedTowerHead(dense_prediction_heads.RetinaNetHead):
  """Predicts classes and boxes from the same tower of convolutions, with batch norms a level; half the cost of two.

  Arguments are those of Model Garden's `RetinaNetHead`, without attribute heads.
  """

  def build(self, input_shape: Mapping[str, tf.TensorShape]) -> None:
    super().build(input_shape)
    self._box_convs, self._box_norms = self._cls_convs, self._cls_norms

  def call(self, features: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], dict]:
    """Computes class and box outputs as `RetinaNetHead.call`."""
    scores, boxes = {}, {}
    levels = range(self._config_dict['min_level'], self._config_dict['max_level'] + 1)
    for level, norms in zip(levels, self._cls_norms, strict=True):
      tower = self._apply_prediction_tower(features[str(level)], self._cls_convs, norms)
      scores[str(level)] = self._classifier(tower)
      boxes[str(level)] = self._box_regressor(tower)
    return scores, boxes, {}
