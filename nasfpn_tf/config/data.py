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

"""Configures the input of training and evaluation: Model Garden's dataclasses with this project's additions."""

import dataclasses

from official.vision.configs import retinanet


@dataclasses.dataclass
class Parser(retinanet.Parser):
  """Augmentation and labels of an image.

  Attributes:
    aug_rand_vflip: random vertical flips, for images without an upright orientation (microscopy, aerial).
    aug_color: strength of random brightness, contrast and saturation, 0.0 (off) to 1.0.
    aug_operations: further operations, applied in this order, such as `['color(strength=0.4)']`; see
      `nasfpn_tf.data.input.augment`. Text, because lists of sections are merged element by element.
  """

  aug_rand_vflip: bool = False
  aug_color: float = 0.0
  aug_operations: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class DataConfig(retinanet.DataConfig):
  """Input of training or evaluation; evaluation ignores `drop_remainder` and sees every image.

  Attributes:
    take_examples: number of records to use, from the first on; 0 uses all.
  """

  dtype: str = 'float32'
  take_examples: int = 0
  parser: Parser = dataclasses.field(default_factory=Parser)
