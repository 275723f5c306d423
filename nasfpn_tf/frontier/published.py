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

"""Lists published accuracy and cost of mobile and larger detectors, each with its source."""

import dataclasses
import pathlib
from collections.abc import Mapping

from nasfpn_tf.config import published

CHOICES = ('mobile', 'all', 'none')
_MOBILE = ('mobile', 'ssdlite', 'efficientdet_d0')
_ZOO = 'https://github.com/tensorflow/models/blob/master/research/object_detection/g3doc/tf1_detection_zoo.md'


@dataclasses.dataclass(frozen=True)
class Published:
  """A published result on the 80 classes of COCO.

  Attributes:
    name: of the model.
    ap: 0 to 1.
    split: of COCO that the AP is on; '' where the source does not say.
    params_m: in millions; None where it is not given.
    multiply_adds_g: in thousand millions; None where it is not given.
    latency_ms: None where it is not given.
    device: that the latency is of.
    source: what is cited.
    url: where it is.
  """

  name: str
  ap: float
  split: str
  params_m: float | None
  multiply_adds_g: float | None
  latency_ms: float | None
  device: str
  source: str
  url: str

  def cost(self, axis: str) -> float | None:
    """Returns the cost on an axis of `models.AXES`."""
    return getattr(self, axis, None)


LATENCIES = tuple(
  Published(name, ap, 'val', None, None, ms, 'Pixel 1', 'Object Detection API zoo', _ZOO)
  for name, ap, ms in (
    ('MobileDet-CPU SSDLite 320', 0.240, 113.0),
    ('MobileNetV2 MnasFPN 320', 0.266, 183.0),
    ('MobileNetV3-large SSDLite 320', 0.226, 119.0),
    ('MobileNetV3-small SSDLite 320', 0.154, 43.0),
  )
)


def load(which: str, configs: Mapping[str, pathlib.Path]) -> list[Published]:
  """Loads published figures: those that configurations cite, and latencies on phones.

  Args:
    which: one of `CHOICES`; 'mobile' leaves out what no phone runs.
    configs: {name: path} of the configurations.
  """
  if which == 'none':
    return []
  found = []
  for name, path in sorted(configs.items()):
    if which == 'all' or any(word in name for word in _MOBILE):
      for row in published.read(path):
        if row.ap:
          params, multiply_adds = (float(text) if text else None for text in (row.params_m, row.multiply_adds_g))
          values = (float(row.ap) / 100, row.split, params, multiply_adds, None, '', row.source, row.url)
          found.append(Published(name, *values))
  return [*found, *LATENCIES]
