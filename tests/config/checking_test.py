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
"""Tests of the check of a configuration's types."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest
from official.core import exp_factory
from official.modeling import hyperparams

from nasfpn_tf.config import checking
from nasfpn_tf.training import experiments  # noqa: F401  (registers the experiments)


@dataclasses.dataclass
class _Part(hyperparams.Config):
  width: int = 1


@dataclasses.dataclass
class _Choice(hyperparams.OneOfConfig):
  type: str | None = None
  part: _Part = dataclasses.field(default_factory=_Part)


@dataclasses.dataclass
class _Whole(hyperparams.Config):
  rate: float = 0.5
  on: bool = False
  name: str = ''
  sizes: list[int] = dataclasses.field(default_factory=list)
  optional: int | None = None
  part: _Part = dataclasses.field(default_factory=_Part)
  parts: list[_Part] = dataclasses.field(default_factory=list)
  choice: _Choice = dataclasses.field(default_factory=_Choice)


@pytest.mark.parametrize(
  'name',
  ['nasfpn_retinanet', 'retinanet', 'retinanet_resnetfpn_coco', 'maskrcnn_resnetfpn_coco', 'retinanet_spinenet_coco'],
)
def test_recipes_of_detection_have_the_types_they_declare(name):
  checking.check(exp_factory.get_exp_config(name))


@pytest.mark.parametrize(
  'overrides',
  [
    {'rate': 1},
    {'optional': 3},
    {'optional': None},
    {'sizes': [1, 2]},
    {'sizes': (1, 2)},
    {'parts': [{'width': 2}]},
    {'choice': {'type': 'part'}},
  ],
)
def test_right_values_pass(overrides):
  whole = _Whole()
  whole.override(overrides)
  checking.check(whole)


@pytest.mark.parametrize(
  ('overrides', 'message'),
  [
    ({'rate': '0.5'}, "^top.rate must be a number, not '0.5'"),
    ({'rate': True}, '^top.rate must be a number, not True'),
    ({'on': 1}, '^top.on must be true or false, not 1'),
    ({'name': None}, '^top.name must be a string, not None'),
    ({'sizes': 3}, '^top.sizes must be a list, each element an integer, not 3'),
    ({'sizes': [1, 2.5]}, '^top.sizes must be a list'),
    ({'optional': 'x'}, "^top.optional must be an integer or null, not 'x'"),
    ({'part': None}, '^top.part must be a section with keys of _Part, not None'),
    ({'part': {'width': 'x'}}, '^top.part.width must be an integer'),
    ({'parts': [{'width': 1}, {'width': 'x'}]}, r'^top.parts\[1\].width must be an integer'),
    ({'choice': {'type': 'prat'}}, "^top.choice.type 'prat' is unknown; did you mean 'part'"),
    ({'choice': {'part': {'width': None}}}, '^top.choice.part.width must be an integer, not None'),
  ],
)
def test_wrong_values_are_named(overrides, message):
  whole = _Whole()
  whole.override(overrides)
  with pytest.raises(ValueError, match=message):
    checking.check(whole, 'top')


@pytest.mark.parametrize(
  ('value', 'annotation', 'message'),
  [
    ([320, 256], tuple[int, int], ''),
    ([320], tuple[int, int], r'must be a list of 2: an integer, an integer, not [320].'),
    ([320, '256'], tuple[int, int] | None, "must be a list of 2: an integer, an integer or null, not [320, '256']."),
    ((1, 2, 3), tuple[int, ...], ''),
    ((1, 'x'), tuple[int, ...], "must be a list, each element an integer, not (1, 'x')."),
    ({'a': 1}, Mapping[str, float], ''),
    ({'a': 'x'}, Mapping[str, float], "must be a mapping, each value a number, not {'a': 'x'}."),
    ([1], dict[str, int], 'must be a mapping, each value an integer, not [1].'),
    ({'a': object}, Mapping[str, Any], ''),
    (3, Mapping[str, Any], 'must be a mapping, not 3.'),
    (hyperparams.Config({'a': 1}), Mapping[str, int], ''),
  ],
)
def test_values_are_compared_with_declared_types(value, annotation, message):
  assert checking.mismatch(value, annotation) == message
