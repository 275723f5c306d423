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

"""Builds the pyramids of the catalogue, and resolves references to a `PyramidSpec`."""

import pathlib

from nasfpn_tf import spelling
from nasfpn_tf.topology.spec import MAX_LEVEL, CellSpec, PyramidSpec

# NAS-FPN's best architecture, seven merging cells (arXiv 1904.07392, fig. 6 and fig. 7f).
NAS_FPN = PyramidSpec(
  name='nas_fpn',
  min_level=3,
  max_level=7,
  cells=(
    CellSpec(4, 'global_pooling', (1, 3)),
    CellSpec(4, 'sum', (1, 5)),
    CellSpec(3, 'sum', (0, 6), is_output=True),
    CellSpec(4, 'sum', (6, 7), is_output=True),
    CellSpec(5, 'global_pooling', (7, 8), is_output=True),
    CellSpec(7, 'global_pooling', (6, 9), is_output=True),
    CellSpec(6, 'global_pooling', (9, 10), is_output=True),
  ),
)

# MnasFPN's wiring (arXiv 1912.01106, as in the Object Detection API's code); its levels are 3 to 6 and no others.
MNAS_FPN = PyramidSpec(
  name='mnas_fpn',
  min_level=3,
  max_level=6,
  cells=(
    CellSpec(4, 'sum', (1, 2)),
    CellSpec(3, 'sum', (0, 4), is_output=True),
    CellSpec(4, 'sum', (5, 4), is_output=True),
    CellSpec(5, 'sum', (4, 3), is_output=True),
    CellSpec(6, 'sum', (4, 3), is_output=True),
  ),
)


def nas_fpn(min_level: int = 3, max_level: int = 7) -> PyramidSpec:
  """Builds NAS-FPN for any range of three or more levels.

  For 3..7 it is the published architecture. For another range it is the published one with its cells moved: shifted
  with `min_level`, a level above the range left out (its readers take the next coarser output that exists), a level
  beyond the published five merged by global pooling from the two outputs before it. Only 3..7 was
  searched; the others are ours.
  """
  if (min_level, max_level) == (3, 7):
    return NAS_FPN
  name = f'nas_fpn_{min_level}_{max_level}'
  n = max_level - min_level + 1
  if n < 3:
    raise ValueError(f'{name}: NAS-FPN needs at least three levels, {min_level}..{max_level} has {n}.')
  second = min_level + 1
  far = min(3, n - 1)  # Published: P6, the input that the first cell pools over.
  cells = [
    CellSpec(second, 'global_pooling', (1, far)),
    CellSpec(second, 'sum', (1, n)),
    CellSpec(min_level, 'sum', (0, n + 1), is_output=True),
    CellSpec(second, 'sum', (n + 1, n + 2), is_output=True),
    CellSpec(min_level + 2, 'global_pooling', (n + 2, n + 3), is_output=True),
  ]
  if n == 4:
    cells.append(CellSpec(max_level, 'global_pooling', (n + 1, n + 4), is_output=True))
  elif n >= 5:
    cells.append(CellSpec(min_level + 4, 'global_pooling', (n + 1, n + 4), is_output=True))
    cells.append(CellSpec(min_level + 3, 'global_pooling', (n + 4, n + 5), is_output=True))
    for level in range(min_level + 5, max_level + 1):
      last = n + len(cells) - 1
      cells.append(CellSpec(level, 'global_pooling', (last - 1, last), is_output=True))
  return PyramidSpec(name, min_level, max_level, tuple(cells))


def fpn(min_level: int = 3, max_level: int = 7) -> PyramidSpec:
  """Builds FPN's top-down path as merging cells (arXiv 1612.03144; stacked as in 1904.07392, fig. 7a and 8a).

  The coarsest level is a one-input cell; each finer one sums its input with the cell above it.
  """
  _check_range('fpn', min_level, max_level)
  n = max_level - min_level + 1
  cells = [CellSpec(max_level, 'sum', (n - 1,), is_output=True)]
  for level in range(max_level - 1, min_level - 1, -1):
    cells.append(CellSpec(level, 'sum', (level - min_level, n + len(cells) - 1), is_output=True))
  return PyramidSpec(_ranged('fpn', min_level, max_level), min_level, max_level, tuple(cells))


def panet(min_level: int = 3, max_level: int = 7) -> PyramidSpec:
  """Builds PANet: a top-down path, then a bottom-up path over it (arXiv 1803.01534, as in 1911.09070, fig. 2b)."""
  return _two_paths('panet', 'sum', False, min_level, max_level)


def bifpn(min_level: int = 3, max_level: int = 7) -> PyramidSpec:
  """Builds BiFPN: both paths, weighted fusion, an edge from each input to its output (arXiv 1911.09070, sec. 3.2)."""
  return _two_paths('bifpn', 'weighted_sum', True, min_level, max_level)


_BUILDERS = {'nas_fpn': nas_fpn, 'fpn': fpn, 'panet': panet, 'bifpn': bifpn}


def names() -> tuple[str, ...]:
  """Names that `get` takes."""
  return tuple(_BUILDERS)


def get(name: str, min_level: int = 3, max_level: int = 7) -> PyramidSpec:
  """Returns the pyramid `name` for levels `min_level`..`max_level`; a ValueError suggests the nearest known name."""
  if name not in _BUILDERS:
    raise ValueError(f'topology {name!r} is not in the catalogue; {spelling.nearest(name, _BUILDERS)}')
  if max_level > MAX_LEVEL:
    raise ValueError(f'topology {name!r}: max_level {max_level} is more than {MAX_LEVEL}: no image is that large.')
  return _BUILDERS[name](min_level, max_level)


def resolve(ref: str | PyramidSpec, min_level: int | None = None, max_level: int | None = None) -> PyramidSpec:
  """Resolves a catalogue name, 'mnas_fpn', the path of a .json file, or inline JSON to a `PyramidSpec`.

  Args:
    ref: what to resolve; a `PyramidSpec` is taken as it is.
    min_level: finest level wanted; a catalogue name is built for it, anything else must have it.
    max_level: coarsest level wanted, likewise.

  Raises:
    ValueError: if the reference cannot be read, or if it has other levels than those wanted.
  """
  if isinstance(ref, PyramidSpec):
    spec = ref
  elif not isinstance(ref, str) or not ref.strip():
    raise ValueError(f'topology: must be a catalogue name, a .json path or inline JSON, not {ref!r}.')
  elif ref.lstrip().startswith('{'):
    spec = PyramidSpec.from_json(ref)
  elif ref == MNAS_FPN.name:
    spec = MNAS_FPN
  elif ref.endswith('.json'):
    spec = _read(ref)
  else:
    spec = get(ref, 3 if min_level is None else min_level, 7 if max_level is None else max_level)
  wanted = (
    spec.min_level if min_level is None else min_level,
    spec.max_level if max_level is None else max_level,
  )
  if wanted != (spec.min_level, spec.max_level):
    raise ValueError(
      f'topology {spec.name!r} has levels {spec.min_level}..{spec.max_level}, but {wanted[0]}..{wanted[1]} are'
      f' needed: set min_level and max_level of the model to those of the topology, or choose another topology.'
    )
  return spec


def _read(path: str) -> PyramidSpec:
  try:
    text = pathlib.Path(path).read_text(encoding='utf-8')
  except OSError as e:
    raise ValueError(f'topology file {path!r} cannot be read: {e.strerror or e}.') from e
  except UnicodeDecodeError as e:
    raise ValueError(f'topology file {path!r} is not UTF-8 text: {e}.') from e
  try:
    return PyramidSpec.from_json(text)
  except ValueError as e:
    raise ValueError(f'topology file {path!r}: {e}') from e


def _ranged(name: str, min_level: int, max_level: int) -> str:
  return name if (min_level, max_level) == (3, 7) else f'{name}_{min_level}_{max_level}'


def _check_range(name: str, min_level: int, max_level: int) -> None:
  if max_level - min_level < 1:
    raise ValueError(f'{name}: at least two levels are needed, {min_level}..{max_level} is too few.')


def _two_paths(name: str, op: str, input_edge: bool, min_level: int, max_level: int) -> PyramidSpec:
  """Builds a top-down and a bottom-up path over it; `input_edge` adds the pyramid's own input to each inner output."""
  _check_range(name, min_level, max_level)
  n = max_level - min_level + 1
  top_down = {max_level: n - 1}  # The coarsest input opens the path as it is.
  cells = []
  for level in range(max_level - 1, min_level - 1, -1):
    top_down[level] = n + len(cells)
    cells.append(CellSpec(level, op, (level - min_level, top_down[level + 1]), is_output=level == min_level))
  below = top_down[min_level]
  for level in range(min_level + 1, max_level + 1):
    inputs = (top_down[level], below)
    if input_edge and level < max_level:
      inputs = (level - min_level, *inputs)
    below = n + len(cells)
    cells.append(CellSpec(level, op, inputs, is_output=True))
  return PyramidSpec(_ranged(name, min_level, max_level), min_level, max_level, tuple(cells))
