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

"""SpineNetSpec: validation, JSON, digest, and agreement with Model Garden's table."""

import dataclasses
import json
import xml.etree.ElementTree

import pytest
from official.vision.modeling.backbones import spinenet as model_garden

from nasfpn_tf.topology import spinenet, spinenet_figure
from nasfpn_tf.topology.spinenet import SPINENET_49, BlockSpec, SpineNetSpec

OUTPUT = BlockSpec(3, 'bottleneck', (0, 1), is_output=True)


def test_spinenet_49_is_model_gardens():
  theirs = [spec for spec in model_garden.SPINENET_BLOCK_SPECS if spec[0] != 2 or not spec[3]]  # It appends P2.
  assert [dataclasses.astuple(block) for block in SPINENET_49.blocks] == theirs


def test_values():
  assert SPINENET_49.outputs == {3: 13, 4: 12, 5: 14, 6: 16, 7: 15}
  assert [SPINENET_49.level_of(index) for index in (0, 1, 2, 16)] == [2, 2, 2, 6]
  assert hash(SPINENET_49) == hash(SpineNetSpec('spinenet_49', list(SPINENET_49.blocks)))
  assert '  13: L3* = bottleneck(4, 10)' in str(SPINENET_49)


def test_json_and_digest():
  assert SpineNetSpec.from_json(SPINENET_49.to_json()) == SPINENET_49
  assert dataclasses.replace(SPINENET_49, name='other').digest == SPINENET_49.digest
  assert SpineNetSpec('one', (OUTPUT,)).digest != SPINENET_49.digest


@pytest.mark.parametrize(
  ('blocks', 'message'),
  [
    ((BlockSpec(3, 'bottleneck', (0, 2), True),), r'block 2: parents \(0, 2\) must be two different blocks of 0\.\.1'),
    ((BlockSpec(3, 'bottleneck', (1, 1), True),), 'must be two different blocks'),
    ((BlockSpec(3, 'bottleneck', (0,), True),), 'parents must be two indices'),
    ((BlockSpec(3, 'bottleneck', 5, True),), 'parents must be two indices'),
    ((BlockSpec(8, 'bottleneck', (0, 1), True),), r'level 8 is outside 1\.\.7'),
    ((BlockSpec(3, 'mbconv', (0, 1), True),), "block 'mbconv' is unknown"),
    ((BlockSpec(3, 'residual', (0, 1), 1),), 'is_output must be true or false'),
    ((3,), 'must be a BlockSpec'),
    ((), r'its output levels are \[\]'),
    ((OUTPUT, OUTPUT), r'its output levels are \[3, 3\]'),
    ((OUTPUT, BlockSpec(5, 'residual', (0, 2), True)), r'its output levels are \[3, 5\]'),
  ],
)
def test_mistakes_name_the_block(blocks, message):
  with pytest.raises(ValueError, match=f"backbone 'mine'.*{message}"):
    SpineNetSpec('mine', blocks)


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'format': 2}, 'format 2 is not supported'),
    ({'blocks': 3}, 'blocks a list'),
    ({'blocks': [3]}, 'block 2: must be a JSON object'),
    ({'blocks': [{'level': 3}]}, "block 2: key 'block' is missing"),
    ({'levels': 3}, "key 'levels' is unknown"),
  ],
)
def test_mistakes_in_json_name_the_key(change, message):
  with pytest.raises(ValueError, match=message):
    SpineNetSpec.from_dict({**SPINENET_49.to_dict(), **change})


def test_not_json():
  with pytest.raises(ValueError, match='not JSON'):
    SpineNetSpec.from_json('{')
  assert spinenet.BLOCKS == ('bottleneck', 'residual')


def test_what_nothing_has_used_joins_an_output_of_its_kind():
  assert SPINENET_49.wiring()[12] == (7, 12, 11)  # Block 11, level 5, is nobody's parent.
  assert [len(sources) for sources in SPINENET_49.wiring()].count(2) == 14 and not SPINENET_49.unused
  blocks = (
    BlockSpec(3, 'residual', (0, 1)),  # 2
    BlockSpec(3, 'bottleneck', (0, 1)),  # 3
    BlockSpec(4, 'bottleneck', (0, 1)),  # 4, of which only block 5 is made
    BlockSpec(5, 'residual', (0, 4)),  # 5
    BlockSpec(3, 'bottleneck', (0, 1), is_output=True),  # 6
    BlockSpec(4, 'residual', (3, 6), is_output=True),  # 7
  )
  spec = SpineNetSpec('mine', blocks)
  assert spec.wiring()[4:] == ((0, 1, 3), (3, 6))  # Block 2 is a residual one.
  assert spec.unused == {2, 4, 5}


def test_references(tmp_path):
  path = tmp_path / 'best.json'
  path.write_text(json.dumps(SPINENET_49.to_dict()))
  for ref in ('spinenet_49', SPINENET_49, SPINENET_49.to_json(), str(path)):
    assert spinenet.resolve(ref) == SPINENET_49
  with pytest.raises(ValueError, match=r"backbone 'spinenet49' is unknown: spinenet_49, a \.json path or JSON text"):
    spinenet.resolve('spinenet49')
  with pytest.raises(ValueError, match=r"nowhere\.json': No such file"):
    spinenet.resolve(str(tmp_path / 'nowhere.json'))
  path.write_text('{"format": 1, "name": "x"}')
  with pytest.raises(ValueError, match=r"best\.json': backbone: key 'blocks' is missing"):
    spinenet.resolve(str(path))


def test_the_figure_has_every_block_and_every_connection():
  root = xml.etree.ElementTree.fromstring(spinenet_figure.svg(SPINENET_49))
  texts = [element.text for element in root.iter('{http://www.w3.org/2000/svg}text')]
  assert [text for text in texts if text.isdigit()] == [str(index) for index in range(17)]
  lines = [path for path in root.iter('{http://www.w3.org/2000/svg}path') if path.get('fill') == 'none']
  assert len(lines) == 31 and sum(path.get('stroke-dasharray') is not None for path in lines) == 1
