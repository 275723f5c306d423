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
"""Published checkpoints that can be imported, by name."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Known:
  """One published checkpoint.

  Attributes:
    framework: whose code wrote it.
    url: of the archive.
    image_size: side of the square images, in pixels.
    ap: published, on COCO val2017.
    note: how it was trained.
  """

  framework: str
  url: str
  image_size: int
  ap: float
  note: str


KNOWN = {
  'r50_nasfpn_7x256_640': Known(
    framework='tpu',
    url='https://storage.googleapis.com/cloud-tpu-checkpoints/detection/retinanet/r50-nasfpn.tar.gz',
    image_size=640,
    ap=42.4,
    note='tensorflow/tpu, MODEL_ZOO.md: 350 epochs from scratch',
  ),
}
