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

"""The catalogue, asserted whole, and `resolve`."""

import re

import pytest

from nasfpn_tf import topology
from tests import testing


def cells(spec: topology.PyramidSpec) -> list[tuple]:
  """(level, op, inputs, is_output) of every cell."""
  return [(cell.level, cell.op, cell.inputs, cell.is_output) for cell in spec.cells]


def test_nas_fpn_is_the_published_architecture():
  """arXiv 1904.07392, fig. 6; the same list as Model Garden's decoders/nasfpn.py."""
  assert cells(topology.get('nas_fpn')) == [
    (4, 'global_pooling', (1, 3), False),
    (4, 'sum', (1, 5), False),
    (3, 'sum', (0, 6), True),
    (4, 'sum', (6, 7), True),
    (5, 'global_pooling', (7, 8), True),
    (7, 'global_pooling', (6, 9), True),
    (6, 'global_pooling', (9, 10), True),
  ]


def test_fpn():
  assert cells(topology.fpn()) == [
    (7, 'sum', (4,), True),
    (6, 'sum', (3, 5), True),
    (5, 'sum', (2, 6), True),
    (4, 'sum', (1, 7), True),
    (3, 'sum', (0, 8), True),
  ]


def test_panet():
  assert cells(topology.panet()) == [
    (6, 'sum', (3, 4), False),
    (5, 'sum', (2, 5), False),
    (4, 'sum', (1, 6), False),
    (3, 'sum', (0, 7), True),
    (4, 'sum', (7, 8), True),
    (5, 'sum', (6, 9), True),
    (6, 'sum', (5, 10), True),
    (7, 'sum', (4, 11), True),
  ]


def test_bifpn():
  """The node list of google/automl, efficientdet/tf2/fpn_configs.py."""
  assert cells(topology.bifpn()) == [
    (6, 'weighted_sum', (3, 4), False),
    (5, 'weighted_sum', (2, 5), False),
    (4, 'weighted_sum', (1, 6), False),
    (3, 'weighted_sum', (0, 7), True),
    (4, 'weighted_sum', (1, 7, 8), True),
    (5, 'weighted_sum', (2, 6, 9), True),
    (6, 'weighted_sum', (3, 5, 10), True),
    (7, 'weighted_sum', (4, 11), True),
  ]


def test_two_paths_over_two_levels():
  assert cells(topology.bifpn(5, 6)) == [(5, 'weighted_sum', (0, 1), True), (6, 'weighted_sum', (1, 2), True)]


def test_nas_fpn_for_levels_3_to_6_leaves_p7_out():
  spec = topology.nas_fpn(3, 6)
  assert cells(spec) == [
    (4, 'global_pooling', (1, 3), False),
    (4, 'sum', (1, 4), False),
    (3, 'sum', (0, 5), True),
    (4, 'sum', (5, 6), True),
    (5, 'global_pooling', (6, 7), True),
    (6, 'global_pooling', (5, 8), True),
  ]
  assert spec.wiring()[4] == (6, 7, 2)
  assert spec.name == 'nas_fpn_3_6'


def test_nas_fpn_for_levels_2_to_7_adds_one():
  spec = topology.nas_fpn(2, 7)
  assert cells(spec) == [
    (3, 'global_pooling', (1, 3), False),
    (3, 'sum', (1, 6), False),
    (2, 'sum', (0, 7), True),
    (3, 'sum', (7, 8), True),
    (4, 'global_pooling', (8, 9), True),
    (6, 'global_pooling', (7, 10), True),
    (5, 'global_pooling', (10, 11), True),
    (7, 'global_pooling', (11, 12), True),
  ]


@pytest.mark.parametrize('name', topology.names())
@pytest.mark.parametrize(('min_level', 'max_level'), [(3, 7), (3, 6), (2, 6), (2, 7), (3, 5), (1, 8), (4, 7)])
def test_every_pyramid_in_every_range(name, min_level, max_level):
  spec = topology.get(name, min_level, max_level)
  assert list(spec.outputs) == list(range(min_level, max_level + 1))
  assert spec.name == (name if (min_level, max_level) == (3, 7) else f'{name}_{min_level}_{max_level}')


def test_shifted_levels_keep_the_published_wiring():
  shifted = topology.nas_fpn(2, 6)
  assert shifted.wiring() == topology.NAS_FPN.wiring()
  assert [cell.level + 1 for cell in shifted.cells] == [cell.level for cell in topology.NAS_FPN.cells]


@pytest.mark.parametrize(
  ('name', 'min_level', 'max_level', 'message'),
  [
    (
      'nasfpn',
      3,
      7,
      r"topology 'nasfpn' is not in the catalogue; did you mean 'nas_fpn' or .*known are nas_fpn, fpn, panet, bifpn\.$",
    ),
    ('zzz', 3, 7, r"topology 'zzz' is not in the catalogue; known are nas_fpn, fpn, panet, bifpn\.$"),
    ('fpn', 5, 5, 'fpn: at least two levels are needed, 5..5 is too few'),
    ('panet', 6, 5, 'panet: at least two levels'),
    ('nas_fpn', 3, 4, 'NAS-FPN needs at least three levels, 3..4 has 2'),
    ('bifpn', -1, 3, 'min_level -1 and max_level 3 must satisfy'),
  ],
)
def test_get_explains_what_it_cannot_give(name, min_level, max_level, message):
  with pytest.raises(ValueError, match=message):
    topology.get(name, min_level, max_level)


def test_resolve_takes_a_name_a_path_inline_json_and_a_spec(tmp_path):
  path = tmp_path / 'best one.json'
  path.write_text(topology.NAS_FPN.to_json(indent=2), encoding='utf-8')
  for ref in ('nas_fpn', str(path), topology.NAS_FPN.to_json(), ' \n' + topology.NAS_FPN.to_json(), topology.NAS_FPN):
    assert topology.resolve(ref) == topology.NAS_FPN
    assert topology.resolve(ref, 3, 7) == topology.NAS_FPN


def test_resolve_builds_a_name_for_the_levels_wanted():
  assert topology.resolve('bifpn', 3, 6) == topology.bifpn(3, 6)
  assert topology.resolve('bifpn', 2) == topology.bifpn(2, 7)
  assert topology.resolve('bifpn', max_level=5) == topology.bifpn(3, 5)


@pytest.mark.parametrize('ref', [topology.NAS_FPN, topology.NAS_FPN.to_json()])
@pytest.mark.parametrize(('min_level', 'max_level', 'wanted'), [(3, 6, r'3\.\.6'), (2, None, r'2\.\.7')])
def test_resolve_refuses_other_levels(ref, min_level, max_level, wanted):
  with pytest.raises(ValueError, match=rf"'nas_fpn' has levels 3\.\.7, but {wanted} are needed: set min_level"):
    topology.resolve(ref, min_level, max_level)


@pytest.mark.parametrize('ref', ['', '  ', None, 3, ['nas_fpn']])
def test_resolve_refuses_what_is_no_reference(ref):
  with pytest.raises(ValueError, match=r'must be a catalogue name, a \.json path or inline JSON'):
    topology.resolve(ref)


def test_resolve_names_the_file(tmp_path):
  missing = tmp_path / 'missing.json'
  with pytest.raises(ValueError, match=r"missing\.json' cannot be read: No such file"):
    topology.resolve(str(missing))
  with pytest.raises(ValueError, match=r'cannot be read: Is a directory'):
    (tmp_path / 'folder.json').mkdir()
    topology.resolve(str(tmp_path / 'folder.json'))
  bad = tmp_path / 'bad.json'
  bad.write_bytes(b'{"name": "\xff"}')
  with pytest.raises(ValueError, match=r"bad\.json' is not UTF-8 text"):
    topology.resolve(str(bad))
  bad.write_text('{"format": 1}')
  with pytest.raises(ValueError, match=r"bad\.json': topology: key 'name' is missing"):
    topology.resolve(str(bad))


def test_resolve_names_the_inline_cell():
  text = topology.NAS_FPN.to_json().replace('[1, 5]', '[1, 8]')
  with pytest.raises(ValueError, match=r'cell 1 \(feature 6\): input 8 is a forward reference'):
    topology.resolve(text)


def test_the_examples_in_the_docs_are_valid():
  text = (testing.repo_root() / 'docs' / 'topology.md').read_text(encoding='utf-8')
  examples = re.findall(r'^```json\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
  assert [topology.resolve(example).name for example in examples] == ['small', 'mnas_fpn']
  assert topology.draw(topology.NAS_FPN) in text
