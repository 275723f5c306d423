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

"""Works around a defect of oneDNN in training on CPUs.

The gradient of a strided 1x1 convolution with fewer input channels than a vector register holds (16 with AVX-512)
writes past its workspace: https://github.com/uxlfoundation/oneDNN/issues/6035. With TensorFlow 2.20 that ends in a
crash or in wrong gradients. Only very narrow ResNets have such a convolution, in a shortcut.
"""

import os

import tf_keras

from nasfpn_tf.layers import depthwise

MIN_CHANNELS = 16


def check_shortcuts(model: tf_keras.Model) -> None:
  """Raises a ValueError that names a convolution whose gradient oneDNN gets wrong, if this process would use oneDNN."""
  if os.environ.get('TF_ENABLE_ONEDNN_OPTS') == '0' or not depthwise.has_cpu_only():
    return
  for layer in model.submodules:
    if isinstance(layer, tf_keras.layers.Conv2D) and layer.kernel_size == (1, 1) and max(layer.strides) > 1:
      channels = layer.kernel.shape[2]
      if layer.trainable and channels < MIN_CHANNELS:
        raise ValueError(
          f'{layer.kernel.name} is a strided 1x1 convolution of {channels} channels. On a CPU oneDNN computes its'
          f' gradient wrongly or crashes under {MIN_CHANNELS} channels: widen the backbone (resnet.depth_multiplier of'
          ' 0.25 or more), or set the environment variable TF_ENABLE_ONEDNN_OPTS=0, which is slower.'
        )
