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

"""Tests of the YAML of configurations: what is read, and what is refused instead of read into something else."""

import pytest
import yaml

from nasfpn_tf.config import safe_yaml

# Nine lines that stand for 10**9 values.
BOMB = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n' + ''.join(
  f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 10)}]\n' for i in range(1, 9)
)
CHAIN = 'a0: &a0 [x]\n' + ''.join(f'a{i}: &a{i} [*a{i - 1}]\n' for i in range(1, 2000))
MERGE_BOMB = 'a0: &a0 {k0: 1, l0: 1}\n' + ''.join(
  f'a{i}: &a{i} {{<<: [{", ".join([f"*a{i - 1}"] * 10)}], k{i}: 1}}\n' for i in range(1, 9)
)

REFUSED = {
  'deep_list': ('[' * 5000, f'nested deeper than {safe_yaml.MAX_DEPTH} levels.*line 1'),
  'deep_mapping': ('{a: ' * 5000, f'nested deeper than {safe_yaml.MAX_DEPTH} levels'),
  'deep_lines': ('\n'.join(' ' * i + 'a:' for i in range(2000)), 'nested deeper than .*line 64'),
  'alias_bomb': (BOMB, 'aliases add more than 10000 values.*line 4'),
  'merge_bomb': (MERGE_BOMB, 'aliases add more than 10000 values'),
  'alias_chain': (CHAIN, 'with its alias nested deeper than 64 levels.*line 63'),
  'alias_of_itself': ('a: &a {b: [*a]}', 'an alias that contains itself.*line 1'),
  'date': ('a: 1\nday: 2026-11-28', "'2026-11-28' is a date, .*quotes.*line 2"),
  'no_date': ('day: 2026-13-45', "'2026-13-45' is a date"),
  'time': ('day: 2026-11-28 10:00:00', 'is a date'),
  'bytes': ('a: !!binary aGVsbG8=', 'is of type binary'),
  'set': ('a: !!set {x, y}', 'is of type set'),
  'list_as_key': ('? [a, b]\n: 1', 'a key must be text, not a sequence.*line 1'),
  'mapping_as_key': ('{a: 1}: 2', 'a key must be text, not a mapping'),
  'number_as_key': ('3: a', "a key must be text; write '3' in quotes"),
  'boolean_as_key': ('on: a', "a key must be text; write 'on' in quotes"),
  'key_twice': ('a: 1\nb: {c: 1, c: 2}', "key 'c' is given twice.*line 2"),
  'no_boolean': ('a: !!bool x', "'x' is no bool.*line 1"),
  'no_integer': ('a: !!int ""', "'' is no int"),
  'endless_integer': ('a: ' + '9' * 5000, r"'999.*\.\.\..*' is no int"),
  'object': ('a: !!python/object/apply:os.system ["true"]', 'could not determine a constructor'),
  'control_character': ('a: \x00', 'position 3'),
  'two_documents': ('a: 1\n---\na: 2', 'expected a single document'),
}


@pytest.mark.parametrize(('text', 'message'), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(text, message):
  with pytest.raises(yaml.YAMLError) as error:
    safe_yaml.load(text)
  assert error.match('(?s)' + message)
  assert '<unicode string>' not in str(error.value)


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('a: 1e-4\nb: 1E+3\nc: 2.5e-1\nd: .5e1', {'a': 1e-4, 'b': 1e3, 'c': 0.25, 'd': 5.0}),
    ('a: !!python/tuple [1, [2]]', {'a': [1, [2]]}),
    ('a: "2026-11-28"\n"3": x', {'a': '2026-11-28', '3': 'x'}),
    ('a: &a {b: 1}\nc: *a', {'a': {'b': 1}, 'c': {'b': 1}}),
    ('', None),
  ],
)
def test_what_is_read(text, expected):
  assert safe_yaml.load(text) == expected


def test_numbers_as_keys_are_read_where_they_may_be():
  assert safe_yaml.load('names: {0: cat, yes: dog}', text_keys=False) == {'names': {0: 'cat', True: 'dog'}}
  for text, message in (
    ('{1: a, 1: b}', "key '1' is given twice"),
    ('? [a]\n: b', 'not a sequence'),
    (BOMB, 'aliases'),
  ):
    with pytest.raises(yaml.YAMLError, match=message):
      safe_yaml.load(text, text_keys=False)


def test_long_and_nested_documents_are_read():
  values = list(range(3 * safe_yaml.MAX_ALIASED))
  assert safe_yaml.load(f'a: {values}') == {'a': values}
  depth = safe_yaml.MAX_DEPTH - 1
  value = safe_yaml.load('[' * depth + 'x' + ']' * depth)
  for _ in range(depth):
    (value,) = value
  assert value == 'x'


def test_an_alias_is_a_value_of_its_own():
  value = safe_yaml.load('a: &a {b: [1]}\nc: *a')
  value['a']['b'].append(2)
  assert value['c'] == {'b': [1]}


def test_merged_mappings_do_not_give_their_keys_twice():
  # `a` stands deeper than `b`, which is made first.
  value = safe_yaml.load('x: &x {k: 1}\nlist:\n- - &a {<<: *x, k: 2}\nb: {<<: *a, m: 3}')
  assert value == {'x': {'k': 1}, 'list': [[{'k': 2}]], 'b': {'k': 2, 'm': 3}}
