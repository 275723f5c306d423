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

"""Finds the weights that a training starts from, and the settings that are known to work from there."""

import dataclasses
import os
import socket

import tf_keras
from absl import logging

from nasfpn_tf.config import checking
from nasfpn_tf.modeling.weights import pretrained

_FILE = 'mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5'
_URL = f'https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/{_FILE}'
_TIMEOUT = 10.0  # Seconds without an answer after which there is no network.
NAMES = ('imagenet', *pretrained.SHIPPED, 'none')


@dataclasses.dataclass(frozen=True)
class Start:
  """Starting point of a training, with settings known to work from there.

  Attributes:
    weights: `applications.weights` of MobileNetV2: 'imagenet', a file, or a name of `pretrained.SHIPPED`; None: random
      values, and a smaller network.
    epochs: passes over the images that training should have.
    images: images that it should show at least, however few there are.
    most_images: images that are enough, however many there are.
    most_epochs: beyond which nothing was gained.
    batch: images in a step on a CPU.
  """

  weights: str | None
  epochs: int
  images: int
  most_images: int
  most_epochs: int
  batch: int

  @property
  def is_shipped(self) -> bool:
    """Whether the weights are those of a detector that comes with the package."""
    return self.weights in pretrained.SHIPPED


def start_from(weights: str | None) -> Start:
  """Returns the starting point with weights of MobileNetV2, or without."""
  return Start(weights, 15, 3200, 20000, 150, 8) if weights else Start(None, 60, 24000, 70000, 300, 16)


def find_weights(given: str | None) -> str | None:
  """Returns the weights to start from, as `Start.weights`.

  Args:
    given: one of `NAMES`, or a Keras file of MobileNetV2 without the top; None: ImageNet's if Keras has them on this
      machine or can download them (9 MB), else those of the blood-cell detector.

  Raises:
    ValueError: it is neither a file nor a name.
  """
  if given is None:
    return 'imagenet' if _have_imagenet() else next(iter(pretrained.SHIPPED))
  if given == 'none':
    return None
  if given in NAMES:
    return given
  if not os.path.isfile(given):
    raise ValueError(
      f'--backbone_weights={given}: there is no such file; give a Keras .h5 file of MobileNetV2 without the top, or'
      f' a name; {checking.nearest(given, NAMES)}'
    )
  return os.path.abspath(given)


def _have_imagenet() -> bool:
  """Downloads the file to Keras' cache unless it is there, as `applications.weights: imagenet` would."""
  before = socket.getdefaulttimeout()
  socket.setdefaulttimeout(_TIMEOUT)
  try:
    tf_keras.utils.get_file(_FILE, _URL, cache_subdir='models')
  except Exception as e:  # tf_keras raises a bare Exception when a download fails.
    logging.warning("ImageNet weights are not in Keras' cache and could not be downloaded: %s", e)
    return False
  finally:
    socket.setdefaulttimeout(before)
  return True
