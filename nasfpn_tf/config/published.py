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

"""Reads the published figures of a configuration's model from its key `published`, one entry per source.

```yaml
published:
  - {ap: 39.9, split: test-dev, params_m: 60, multiply_adds_g: 141, source: 'arXiv 1911.09070, table 2'}
  - {ap: 23.5, split: val, all_params_m: 2.27, source: Model Garden, note: 600 epochs}
  - {params_m: 11.9, source: tensorflow/tpu model zoo, differs: {params: why the built model has another number}}
```

Figures are written as the source prints them, because the number of digits shows their precision. `params_m` are
trainable parameters in millions, `all_params_m` also count the moving statistics of batch norms, and
`multiply_adds_g` are in billions. A source is an arXiv number, with the cited place after a comma, or one
of `SOURCES`.
"""

import dataclasses
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.config import checking, loading

KEY = 'published'
SOURCES = {
  'tensorflow/tpu model zoo': 'https://github.com/tensorflow/tpu/blob/master/models/official/detection/MODEL_ZOO.md',
  'tensorflow/tpu retinanet_nasfpn.yaml': (
    'https://github.com/tensorflow/tpu/blob/master/models/official/detection/configs/yaml/retinanet_nasfpn.yaml'
  ),
  'Object Detection API zoo': (
    'https://github.com/tensorflow/models/blob/master/research/object_detection/g3doc/tf2_detection_zoo.md'
  ),
  'Object Detection API zoo of TensorFlow 1': (
    'https://github.com/tensorflow/models/blob/master/research/object_detection/g3doc/tf1_detection_zoo.md'
  ),
  'Model Garden': 'https://github.com/tensorflow/models/blob/master/official/vision/README.md',
  'google/automl efficientdet': 'https://github.com/google/automl/tree/master/efficientdet',
  'survey of TinyML detectors': (
    'https://github.com/christophezei/Optimizing-Object-Detection-Models-for-TinyML-A-Comprehensive-Survey'
  ),
}
FIGURES = ('params', 'multiply_adds')
_PARAMS = ('params_m', 'all_params_m')
_NUMBERS = ('ap', *_PARAMS, 'multiply_adds_g')
_KEYS = (*_NUMBERS, 'split', 'source', 'note', 'differs')
_SPLITS = ('', 'val', 'test-dev')


@dataclasses.dataclass(frozen=True)
class Published:
  """Published figures of a model from one source.

  Attributes:
    ap: COCO AP in per cent as printed there, such as '39.9'; '' if not given.
    split: split of COCO that the AP refers to, 'val' or 'test-dev'; '' if not given.
    params_m: parameters in millions as printed there, such as '60.3'; '' if not given.
    counts_statistics: whether these count the moving statistics of the batch norms.
    multiply_adds_g: multiply-adds in billions as printed there; '' if not given.
    source: cited source.
    url: URL of the source.
    note: conditions that the source states.
    differs: {'params' or 'multiply_adds': why the built model differs from what was published}.
  """

  ap: str
  split: str
  params_m: str
  counts_statistics: bool
  multiply_adds_g: str
  source: str
  url: str
  note: str
  differs: Mapping[str, str]


def read(path: str | pathlib.Path) -> tuple[Published, ...]:
  """Reads the published figures in a configuration file.

  Raises:
    ValueError: an entry is wrong; the message names the file and the entry.
  """
  entries = loading.read_yaml(path).get(KEY, [])
  if not isinstance(entries, list):
    raise ValueError(f'{path}: {KEY!r} is a list of sources, not {entries!r}.')
  return tuple(_published(entry, f'{path}: {KEY}[{index}]') for index, entry in enumerate(entries))


def _published(entry: Any, where: str) -> Published:
  if not isinstance(entry, dict):
    raise ValueError(f'{where} is a mapping with the keys {", ".join(_KEYS)}, not {entry!r}.')
  for key in entry:
    if key not in _KEYS:
      raise ValueError(f'{where}: key {key!r} does not exist; {checking.nearest(str(key), _KEYS)}')
  if all(key in entry for key in _PARAMS):
    raise ValueError(f'{where}: parameters are given twice, as {" and as ".join(_PARAMS)}.')
  if not any(key in entry for key in _NUMBERS):
    raise ValueError(f'{where} has no figures: {", ".join(_NUMBERS)}.')
  numbers = {key: _printed(entry.get(key, ''), f'{where}.{key}') for key in _NUMBERS}
  split, note = entry.get('split', ''), entry.get('note', '')
  if split not in _SPLITS:
    raise ValueError(f'{where}: split {split!r} is not one of {", ".join(_SPLITS[1:])}.')
  if not isinstance(note, str):
    raise ValueError(f'{where}: note {note!r} is not text.')
  source, differs = str(entry.get('source', '')), entry.get('differs', {})
  if not isinstance(differs, dict) or not all(k in FIGURES and v and isinstance(v, str) for k, v in differs.items()):
    raise ValueError(f'{where}: differs {differs!r} is not {{{" or ".join(FIGURES)}: reason}}.')
  return Published(
    ap=numbers['ap'],
    split=split,
    params_m=numbers['params_m'] or numbers['all_params_m'],
    counts_statistics='all_params_m' in entry,
    multiply_adds_g=numbers['multiply_adds_g'],
    source=source,
    url=_url(source, where),
    note=note,
    differs=differs,
  )


def _printed(value: Any, where: str) -> str:
  """Returns a number as it is printed; one with trailing zeros must be in quotes."""
  if value != '' and (isinstance(value, bool) or not re.fullmatch(r'\d+(\.\d+)?', str(value))):
    raise ValueError(f'{where}: {value!r} is not a number.')
  return str(value)


def _url(source: str, where: str) -> str:
  arxiv = re.match(r'arXiv (\d{4}\.\d{5})', source)
  if arxiv:
    return f'https://arxiv.org/abs/{arxiv[1]}'
  if source not in SOURCES:
    raise ValueError(
      f'{where}: source {source!r} is unknown; an arXiv number or one of {", ".join(SOURCES)} is needed.'
    )
  return SOURCES[source]
