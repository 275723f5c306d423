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

"""What a detector is trained and evaluated on: Model Garden's input configuration with what this project adds."""

import dataclasses

from official.vision.configs import retinanet


@dataclasses.dataclass
class Parser(retinanet.Parser):
  """Augmentation and labelling of one image.

  Attributes:
    aug_rand_vflip: vertical flips, for pictures without an up (microscopy, aerial).
    aug_color: strength of random brightness, contrast and saturation, 0.0 (off) to 1.0.
    aug_operations: more operations, applied in this order, such as `['color(strength=0.4)']`; see
      `nasfpn_tf.data.input.augment`. Text, because lists of sections are merged element by element.
  """

  aug_rand_vflip: bool = False
  aug_color: float = 0.0
  aug_operations: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class DataConfig(retinanet.DataConfig):
  """Input; `drop_remainder` is ignored in evaluation: every image is seen.

  Attributes:
    take_examples: use only the first so many records; 0 uses all.
  """

  dtype: str = 'float32'
  take_examples: int = 0
  parser: Parser = dataclasses.field(default_factory=Parser)
