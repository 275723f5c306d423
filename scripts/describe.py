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

"""Shows a topology: drawing, wiring, parameters, multiply-adds. Starts at once: TensorFlow is not loaded.

python scripts/describe.py --topology=nas_fpn --num_repeats=7 --num_filters=256 --image_size=640
python scripts/describe.py --topology=best.json --svg=best.svg
python scripts/describe.py --topology=nas_fpn --residual --svg=nas_fpn_residual.svg
python scripts/describe.py --topology=bifpn --dot | dot -Tpdf -o bifpn.pdf
"""

import sys
from collections.abc import Sequence

from absl import app, flags

from nasfpn_tf import failure, topology, whole_file

_TOPOLOGY = flags.DEFINE_string(
  'topology', 'nas_fpn', f'Catalogue name ({", ".join(topology.names())}), path of a .json file, or inline JSON.'
)
_MIN_LEVEL = flags.DEFINE_integer(
  'min_level', None, "Finest level; unset: 3 for a name of the catalogue, else the topology's own."
)
_MAX_LEVEL = flags.DEFINE_integer(
  'max_level', None, "Coarsest level; unset: 7 for a name of the catalogue, else the topology's own."
)
_NUM_REPEATS = flags.DEFINE_integer('num_repeats', 7, 'Number of stacked pyramids.')
_NUM_FILTERS = flags.DEFINE_integer('num_filters', 256, 'Width of every feature.')
_IMAGE_SIZE = flags.DEFINE_list('image_size', ['640'], 'Height,width of the input in pixels, or the side of a square.')
_INPUT_FILTERS = flags.DEFINE_list(
  'input_filters', None, "Channels of the backbone's features from min_level up, e.g. 32,96,320; unset: ResNet-50's."
)
_SEPARABLE = flags.DEFINE_bool('separable', False, 'Separable convolutions (NAS-FPNLite).')
_NUM_CLASSES = flags.DEFINE_integer(
  'num_classes', 0, 'Also count a RetinaNet head with this number of classes; 0: none.'
)
_RESIDUAL = flags.DEFINE_bool('residual', False, 'Describe a residual stack, in which outputs add their inputs.')
_DOT = flags.DEFINE_bool('dot', False, 'Print only the Graphviz graph.')
_SVG = flags.DEFINE_string('svg', None, 'Also write the figure to this file.')

_ABOUT_RESIDUAL = """\
Residual: the output cell of each level adds the pyramid's input of that level to what its convolution and batch norm
give; cell(...) above is activation, convolution, batch norm. The batch norm of an output cell begins with gamma 0, so a
stack of any depth begins as the identity. The additions cost no parameter and no multiply-add of a convolution."""


def main(argv: Sequence[str]) -> None:
  with failure.told('describe'):
    if len(argv) > 1:
      raise ValueError(f'unexpected argument {argv[1]!r}; flags begin with --.')
    spec = topology.resolve(_TOPOLOGY.value, _MIN_LEVEL.value, _MAX_LEVEL.value)
    print(topology.dot(spec, _RESIDUAL.value) if _DOT.value else _description(spec), flush=True)
    if _SVG.value:
      whole_file.write_text(_SVG.value, topology.svg(spec, _RESIDUAL.value))
      print(f'Figure written to {_SVG.value}.', file=sys.stderr)


def _description(spec: topology.PyramidSpec) -> str:
  residual = _RESIDUAL.value
  wiring = [f'{spec.num_levels + i:4}  {topology.formula(spec, i, residual)}' for i in range(len(spec.cells))]
  parts = [topology.draw(spec, residual), '\n'.join(['Wiring (feature, level, what it merges):', *wiring])]
  return '\n\n'.join([*parts, *([_ABOUT_RESIDUAL] if residual else []), _costs(spec)])


def _costs(spec: topology.PyramidSpec) -> str:
  """Writes a table of parameters and multiply-adds: projection, one pyramid, the stack, the head."""
  height, width = size = _image_size()
  repeats, filters, separable = _NUM_REPEATS.value, _NUM_FILTERS.value, _SEPARABLE.value
  given = _input_filters(spec)

  def stack(num_repeats: int) -> tuple[int, int]:
    return (
      topology.params(spec, num_repeats, filters, given, separable),
      topology.multiply_adds(spec, num_repeats, filters, size, given, separable),
    )

  one, two = stack(1), stack(2)
  stage = (two[0] - one[0], two[1] - one[1])
  rows = [
    ('projection', (one[0] - stage[0], one[1] - stage[1])),
    ('one pyramid', stage),
    (f'projection and {repeats} pyramid{"s" if repeats != 1 else ""}', stack(repeats)),
  ]
  if _NUM_CLASSES.value:
    options = {'num_classes': _NUM_CLASSES.value, 'num_filters': filters, 'separable': separable}
    rows.append(
      (
        f'RetinaNet head, {_NUM_CLASSES.value} classes',
        (
          topology.retinanet_head_params(spec, **options),
          topology.retinanet_head_multiply_adds(spec, image_size=size, **options),
        ),
      )
    )
  backbone = ', '.join(f'C{level} {given[level]}' for level in spec.levels if level in given)
  kind = 'separable ' if separable else ''
  table = [
    f'{repeats} x {filters} {kind}filters, image {height}x{width}, backbone channels {backbone}; no backbone in:'
  ]
  table.append(f'{"":28}{"parameters":>14}{"multiply-adds":>18}')
  table += [f'  {label:26}{params:>14,}{macs / 1e9:>16.3f} G' for label, (params, macs) in rows]
  return '\n'.join([*table, f'digest {spec.digest}'])


def _image_size() -> tuple[int, int]:
  sides = _integers('image_size', _IMAGE_SIZE.value)
  if len(sides) not in (1, 2):
    raise ValueError(f'--image_size takes one side or height,width, not {len(sides)} numbers.')
  return sides[0], sides[-1]


def _input_filters(spec: topology.PyramidSpec) -> dict[int, int]:
  if _INPUT_FILTERS.value is None:
    return dict(topology.RESNET_FILTERS)
  channels = _integers('input_filters', _INPUT_FILTERS.value)
  return {spec.min_level + i: number for i, number in enumerate(channels)}


def _integers(flag: str, texts: Sequence[str]) -> list[int]:
  try:
    return [int(text) for text in texts]
  except ValueError as e:
    raise ValueError(f'--{flag} takes integers separated by commas, not {",".join(texts)!r}.') from e


def run() -> None:
  """Runs the program: console entry point."""
  app.run(main)


if __name__ == '__main__':
  run()
