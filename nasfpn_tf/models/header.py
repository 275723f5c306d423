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

"""What the first lines of a file in configs/ say: the model, and what was published of it.

```yaml
# R-50 NAS-FPN 7 @ 256, 640 px, COCO (arXiv 1904.07392).
# Published: 39.9 AP test-dev, 60M params, 141G multiply-adds (arXiv 1911.09070, table 2).
# Published: 42.4 AP val, 60.3M params, 140.6G multiply-adds (tensorflow/tpu model zoo; 350 epochs from scratch).
# Differs: params: why the built model has other ones than published.
```

A statement goes on in the lines below it that are indented. Params are the trainable ones, unless it says `all params`,
which counts the moving statistics of the batch norms too. Anything else in the header is for readers.
"""

import dataclasses
import pathlib
import re

_SOURCES = {
  'tensorflow/tpu model zoo': 'https://github.com/tensorflow/tpu/blob/master/models/official/detection/MODEL_ZOO.md',
  'tensorflow/tpu retinanet_nasfpn.yaml': (
    'https://github.com/tensorflow/tpu/blob/master/models/official/detection/configs/yaml/retinanet_nasfpn.yaml'
  ),
  'Object Detection API zoo': (
    'https://github.com/tensorflow/models/blob/master/research/object_detection/g3doc/tf2_detection_zoo.md'
  ),
  'Model Garden': 'https://github.com/tensorflow/models/blob/master/official/vision/README.md',
  'google/automl efficientdet': 'https://github.com/google/automl/tree/master/efficientdet',
  'survey of TinyML detectors': (
    'https://github.com/christophezei/Optimizing-Object-Detection-Models-for-TinyML-A-Comprehensive-Survey'
  ),
}
_FIGURES = (
  ('ap', re.compile(r'([\d.]+) AP(?: (?:test-dev|val))?$')),
  ('params_m', re.compile(r'([\d.]+)M (?:all )?params$')),
  ('multiply_adds_g', re.compile(r'([\d.]+)G multiply-adds$')),
)
FIGURES = ('params', 'multiply-adds')


@dataclasses.dataclass(frozen=True)
class Published:
  """Figures of a model from one source.

  Attributes:
    ap: COCO AP in per cent as printed there, and which split, e.g. '39.9 test-dev'; '' if not given.
    params_m: parameters in millions as printed there, such as '60.3'; '' if not given.
    counts_statistics: whether these count the moving statistics of the batch norms.
    multiply_adds_g: multiply-adds in thousand millions as printed there; '' if not given.
    source: what is cited.
    url: where that is.
    note: what the source says of the conditions.
  """

  ap: str
  params_m: str
  counts_statistics: bool
  multiply_adds_g: str
  source: str
  url: str
  note: str


@dataclasses.dataclass(frozen=True)
class Header:
  """A config's first lines.

  Attributes:
    title: the first sentence.
    published: one entry a source.
    differs: {'params' or 'multiply-adds': why the built model differs from what was published}.
  """

  title: str
  published: tuple[Published, ...]
  differs: dict[str, str]


def read(path: str | pathlib.Path) -> Header:
  """Reads the header of a configuration.

  Raises:
    ValueError: naming the file and the statement that is not understood.
  """
  statements = _statements(pathlib.Path(path).read_text(encoding='utf-8'))
  if not statements:
    raise ValueError(f'{path}: a configuration begins with a comment that says what it is.')
  published, differs = [], {}
  for statement in statements[1:]:
    keyword, _, rest = statement.partition(': ')
    if keyword == 'Published':
      published.append(_published(rest, f'{path}: {statement!r}'))
    elif keyword == 'Differs':
      figure, _, reason = rest.partition(': ')
      if figure not in FIGURES or not reason:
        raise ValueError(f'{path}: {statement!r} is not "Differs: " {" or ".join(FIGURES)} ": reason".')
      differs[figure] = reason
  return Header(statements[0], tuple(published), differs)


def _statements(text: str) -> list[str]:
  """The comment at the top, lines joined where they continue."""
  statements: list[str] = []
  for line in text.splitlines():
    if not line.startswith('#'):
      break
    if line.startswith('#  ') and statements:
      statements[-1] += ' ' + line[1:].strip()
    else:
      statements.append(line[1:].strip())
  return statements


def _published(text: str, where: str) -> Published:
  match = re.fullmatch(r'(.+) \(([^;()]+)(?:; ([^()]+))?\)\.', text)
  if not match:
    raise ValueError(f'{where} is not "Published: figures (source; note).".')
  found = {name: '' for name, _ in _FIGURES}
  for clause in match[1].split(', '):
    name = next((name for name, pattern in _FIGURES if pattern.fullmatch(clause)), None)
    if name is None or found[name]:
      raise ValueError(
        f'{where}: {clause!r} is not understood; use e.g. "39.9 AP val", "60M params" and "141G multiply-adds".'
      )
    found[name] = clause.replace(' AP', '') if name == 'ap' else re.match(r'[\d.]+', clause)[0]
  source = match[2]
  return Published(
    **found, counts_statistics='all params' in match[1], source=source, url=_url(source, where), note=match[3] or ''
  )


def _url(source: str, where: str) -> str:
  arxiv = re.match(r'arXiv (\d{4}\.\d{5})', source)
  if arxiv:
    return f'https://arxiv.org/abs/{arxiv[1]}'
  if source not in _SOURCES:
    raise ValueError(
      f'{where}: source {source!r} is unknown; an arXiv number or one of {", ".join(_SOURCES)} is needed.'
    )
  return _SOURCES[source]
