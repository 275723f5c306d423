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

"""Writes the tables of docs/models.md: published figures of each model beside those built here."""

from collections.abc import Mapping, Sequence

from benchmarks.model_figures import Figures
from nasfpn_tf.config import loading
from nasfpn_tf.config.published import Published, read

# Heading, and what the names of its configurations have in them; the first that fits counts.
_FAMILIES = (
  ('Mobile', ('mobile', 'ssdlite')),
  ('NAS-FPN', ('_nasfpn_',)),
  ('SpineNet', ('spinenet',)),
  ('Other pyramids', ('',)),
)
_INTRODUCTION = """# Models

This page lists the published models that have a configuration in `configs/`, with their published AP and with their
published and built sizes. The name of a model is what `load_detector` and `--config_file` take; its file also holds the
training recipe. To train one on COCO:

```bash
python scripts/train.py --config_file=r50_nasfpn_7x256_640 --model_dir=runs/coco \\
  --params_override='task.train_data.input_path=records/train-*,task.validation_data.input_path=records/val-*'
```

None of these models was trained here: AP is that of the source. Published weights of some of them can be imported
([weights.md](weights.md)); none come with the project.

| column | meaning |
|---|---|
| params | trainable parameters in millions; with the moving statistics of batch norms where the source counts them |
| multiply-adds | of backbone, pyramid and (last) head for one image, in billions; sources call them FLOPs |
| ratio | built / published; within 0.5 % of 1 beyond the rounding of the published figure, or a note says why not |

One published model has no configuration: AmoebaNet with NAS-FPN at 1536 px (50.7 AP val, 209M params, 3045G
multiply-adds: arXiv 1911.09070, table 2). Its filters and repeats are not published, and no values that were tried fit
([reproduction.md](reproduction.md)).

The published figures come from the key `published` of the configurations, the built ones from `models.json`. After a
change, regenerate this page with:

```bash
python -m benchmarks.models --output=docs/models.md --figures=docs/models.json   # --rebuild: measure changed models
```
"""
_HEAD = """| model | AP | params, M: published | built | ratio | multiply-adds, G: published | built | ratio | source |
|---|---|---|---|---|---|---|---|---|
"""


def names() -> list[str]:
  """Lists the configurations of models for COCO; others take their classes from the user's records."""
  return [
    name
    for name, path in sorted(loading.config_names().items())
    if '/' not in name and loading.read_yaml(path).get('task', {}).get('model', {}).get('num_classes')
  ]


def published() -> dict[str, tuple[Published, ...]]:
  """Reads {name: published figures} of `names`."""
  paths = loading.config_names()
  return {name: read(paths[name]) for name in names()}


def markdown(of: Mapping[str, Sequence[Published]], figures: Mapping[str, Figures]) -> str:
  """Writes docs/models.md.

  Args:
    of: what was published of the models to list.
    figures: what was measured; every model has to be in it.

  Raises:
    ValueError: naming a model without figures.
  """
  missing = sorted(set(of) - set(figures))
  if missing:
    raise ValueError(f'no figures of {", ".join(missing)}: --rebuild measures them.')
  parts, notes = [_INTRODUCTION], []
  left = dict(of)
  for heading, words in _FAMILIES:
    members = [name for name in left if any(word in name for word in words)]
    rows = [row for name in members for row in _rows(name, left.pop(name), figures[name], notes)]
    if rows:
      parts.append(f'## {heading}\n\n{_HEAD}' + '\n'.join(rows) + '\n')
  if notes:
    parts.append('## Notes\n\n' + '\n'.join(f'{i}. {note}' for i, note in enumerate(notes, 1)) + '\n')
  return '\n'.join(parts)


def _rows(name: str, of: Sequence[Published], figures: Figures, notes: list[str]) -> list[str]:
  """Yields a row for each source, or one row for a model without published figures."""
  multiply_adds = sum(figures.multiply_adds.values()) / 1e9
  if not of:
    trainable = sum(figures.trainable.values()) / 1e6
    return [_row(_link(name), '', *_compared('', trainable, ''), *_compared('', multiply_adds, ''), '')]
  rows = []
  for source in of:
    marks = {figure: _mark(f'{figure.replace("_", "-")}: {reason}', notes) for figure, reason in source.differs.items()}
    params = sum((figures.params if source.counts_statistics else figures.trainable).values()) / 1e6
    rows.append(
      _row(
        '' if rows else _link(name),
        f'{source.ap} {source.split}'.strip(),
        *_compared(source.params_m, params, marks.get('params', '')),
        *_compared(source.multiply_adds_g, multiply_adds, marks.get('multiply_adds', '')),
        f'[{source.source}]({source.url})' + (f'; {source.note}' if source.note else ''),
      )
    )
  return rows


def _row(*cells: str) -> str:
  return f'| {" | ".join(cells)} |'


def _link(name: str) -> str:
  return f'[{name}](../configs/{name}.yaml)'


def _mark(note: str, notes: list[str]) -> str:
  """Returns the number of a note; adds the note if it is new."""
  if note not in notes:
    notes.append(note)
  return f' ({notes.index(note) + 1})'


def _compared(published: str, built: float, mark: str) -> list[str]:
  """Returns the cells published, built and ratio."""
  return [published, significant(built), f'{built / float(published):.3f}{mark}' if published else '']


def significant(value: float) -> str:
  """Formats a number with at least four digits: 0.9807, 33.81, 561.0, 1040.7."""
  return f'{value:.1f}' if value >= 1000 else f'{value:#.4g}' if value >= 1 else f'{value:.4f}'


def agrees(published: str, built: float, tolerance: float = 0.005) -> bool:
  """Tells whether a figure equals the published one, within a tolerance beyond its rounding."""
  half_unit = 0.5 * 10.0 ** -len(published.partition('.')[2])
  return abs(built - float(published)) <= half_unit + tolerance * float(published)


def drift(
  of: Mapping[str, Sequence[Published]], figures: Mapping[str, Figures], digests: Mapping[str, str]
) -> list[str]:
  """Lists models whose figures are missing or outdated, and figures that belong to no model."""
  stale = [name for name in of if name not in figures or figures[name].digest != digests[name]]
  return sorted([*stale, *(set(figures) - set(of))])
