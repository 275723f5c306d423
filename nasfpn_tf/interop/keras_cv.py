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

"""Adapts `FeaturePyramid` as the neck of keras-cv's RetinaNet: `keras_cv.models.RetinaNet(feature_pyramid=...)`.

keras-cv builds Keras 2 layers only if TF_USE_LEGACY_KERAS=1 is set before TensorFlow is imported, as `import nasfpn_tf`
does. Nothing here imports keras-cv.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class KerasCVFeaturePyramid(tf_keras.layers.Layer):
  """Takes keras-cv's {'P3': c3, 'P4': c4, 'P5': c5} and returns a tuple of all the pyramid's levels, finest first.

  ```python
  neck = KerasCVFeaturePyramid(FeaturePyramid('nas_fpn', num_repeats=3, num_filters=64))
  model = keras_cv.models.RetinaNet(num_classes=3, bounding_box_format='xyxy', backbone=backbone, feature_pyramid=neck)
  ```

  keras-cv's default anchors are for levels 3 to 7; for other levels pass an `anchor_generator` with their strides.

  Attributes:
    pyramid: the `FeaturePyramid`.
  """

  def __init__(self, pyramid: FeaturePyramid | Mapping[str, Any], **kwargs):
    """Keeps the pyramid, which is a layer or its config."""
    super().__init__(**kwargs)
    if isinstance(pyramid, Mapping):
      pyramid = FeaturePyramid.from_config(pyramid)
    self.pyramid = pyramid

  def call(self, features: Mapping[str, tf.Tensor], training: bool | None = None) -> tuple[tf.Tensor, ...]:
    """Maps {'P<level>': [batch, height_l, width_l, channels_l]} to features with `num_filters` channels per level."""
    features = {level.removeprefix('P'): feature for level, feature in features.items()}
    outputs = self.pyramid(features, training=training)
    return tuple(outputs[str(level)] for level in self.pyramid.spec.levels)

  def get_config(self) -> dict[str, Any]:
    return {**super().get_config(), 'pyramid': self.pyramid.get_config()}
