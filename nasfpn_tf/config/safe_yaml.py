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

"""Reads the YAML of configurations: text, numbers, true, false, null, lists and mappings with text keys.

YAML allows more than a configuration can hold, and PyYAML turns some of it into a different value, an endless value or
a bare exception. Here all of that is an error with its line.
"""

import re
import reprlib
from typing import Any

import yaml

MAX_DEPTH = 64  # Model Garden and Python recurse over a configuration.
MAX_ALIASED = 10_000  # Values that aliases may add: ten lines of aliases can make 10**9.

_TAG = 'tag:yaml.org,2002:'


def load(text: str, text_keys: bool = True) -> Any:
  """Reads one YAML document.

  Args:
    text: the document.
    text_keys: whether a key must be text; the class names of a YOLO data.yaml have numbers as keys.

  Raises:
    yaml.YAMLError: the text is malformed, has a duplicate key or one that is not text, has a value that JSON lacks
      (such as a date), is nested deeper than `MAX_DEPTH`, or grows too large by aliases. The message has the line.
  """
  try:
    return _unshared(yaml.load(text, Loader=_Loader if text_keys else _LoaderOfAnyKeys))
  except yaml.reader.ReaderError as error:
    error.name = 'the text'
    raise
  except yaml.MarkedYAMLError as error:
    error.problem_mark, error.context_mark = _place(error.problem_mark), _place(error.context_mark)
    raise


class _Place(yaml.Mark):
  """A place in the text. PyYAML also names the file, which it does not know: '<unicode string>'."""

  def __str__(self) -> str:
    snippet = self.get_snippet()
    return f'  in line {self.line + 1}, column {self.column + 1}' + (f':\n{snippet}' if snippet else '')


def _place(mark: yaml.Mark | None) -> _Place | None:
  return mark and _Place(mark.name, mark.index, mark.line, mark.column, mark.buffer, mark.pointer)


def _unshared(value: Any) -> Any:
  """Copies the value of each alias, so that a change in one place does not change another."""
  if isinstance(value, dict):
    return {key: _unshared(inner) for key, inner in value.items()}
  return [_unshared(inner) for inner in value] if isinstance(value, list) else value


class _Loader(yaml.SafeLoader):
  """Safe YAML loader with bounded size and depth that reads 1e-4 as a number."""

  _key_tags = (f'{_TAG}str', f'{_TAG}merge')

  def __init__(self, stream: str):
    super().__init__(stream)
    self._depth = 0
    self._extents: dict[yaml.Node, tuple[int, int]] = {}  # Nodes in it and levels below it, aliases expanded.

  def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
    """Composes a node as the base class does, with bounds on nesting and aliases."""
    mark, is_alias = self.peek_event().start_mark, self.check_event(yaml.AliasEvent)
    self._depth += 1
    if self._depth > MAX_DEPTH:
      raise yaml.composer.ComposerError(None, None, f'nested deeper than {MAX_DEPTH} levels', mark)
    node = super().compose_node(parent, index)
    if not is_alias:
      self._extents[node] = self._extent(node)
    elif node not in self._extents:
      raise yaml.composer.ComposerError(None, None, 'an alias that contains itself', mark)
    size, levels = self._extents[node]
    if self._depth + levels > MAX_DEPTH:
      raise yaml.composer.ComposerError(None, None, f'with its alias nested deeper than {MAX_DEPTH} levels', mark)
    if size > len(self._extents) + MAX_ALIASED:
      raise yaml.composer.ComposerError(None, None, f'aliases add more than {MAX_ALIASED} values', mark)
    self._depth -= 1
    return node

  def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
    """Composes a mapping as the base class does, and checks its keys before merging (`<<`) adds those of others."""
    node = super().compose_mapping_node(anchor)
    seen = set()
    for key, _ in node.value:
      if key.tag not in self._key_tags:
        what = f'{key.value!r} in quotes' if isinstance(key, yaml.ScalarNode) else f'a {key.id}'
        hint = f'; write {what}' if isinstance(key, yaml.ScalarNode) else f', not {what}'
        raise yaml.constructor.ConstructorError(None, None, f'a key must be text{hint}', key.start_mark)
      if (key.tag, key.value) in seen:
        raise yaml.constructor.ConstructorError(None, None, f'key {key.value!r} is given twice', key.start_mark)
      seen.add((key.tag, key.value))
    return node

  def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
    """Constructs a value as the base class does, but adds the line to errors of values that do not fit their tag."""
    try:
      return super().construct_object(node, deep)
    except (ArithmeticError, LookupError, ValueError) as e:
      what = f'{reprlib.repr(node.value)} is no {node.tag.removeprefix(_TAG)}'
      raise yaml.constructor.ConstructorError(None, None, what, node.start_mark) from e

  def _extent(self, node: yaml.Node) -> tuple[int, int]:
    if isinstance(node, yaml.ScalarNode):
      return 1, 0
    children = node.value if isinstance(node, yaml.SequenceNode) else [child for pair in node.value for child in pair]
    extents = [self._extents[child] for child in children]
    return 1 + sum(size for size, _ in extents), 1 + max((levels for _, levels in extents), default=0)


class _LoaderOfAnyKeys(_Loader):
  """Also takes numbers, true, false and null as keys."""

  _key_tags = (*_Loader._key_tags, *(f'{_TAG}{kind}' for kind in ('int', 'float', 'bool', 'null')))


def _refuse(loader: _Loader, node: yaml.Node) -> None:
  what = 'a date' if node.tag == f'{_TAG}timestamp' else f'of type {node.tag.removeprefix(_TAG)}'
  hint = '; put it in quotes if text is meant' if isinstance(node, yaml.ScalarNode) else ''
  raise yaml.constructor.ConstructorError(
    None, None, f'{reprlib.repr(node.value)} is {what}, which a configuration cannot contain{hint}', node.start_mark
  )


for _type in ('timestamp', 'binary', 'omap', 'pairs', 'set'):
  _Loader.add_constructor(f'{_TAG}{_type}', _refuse)
# Model Garden writes tuples with a tag that safe YAML lacks.
_Loader.add_constructor(f'{_TAG}python/tuple', lambda loader, node: loader.construct_sequence(node))
_Loader.add_implicit_resolver(
  f'{_TAG}float', re.compile(r'^[-+]?(\d[\d_]*\.?\d*|\.\d+)[eE][-+]?\d+$'), list('-+0123456789.')
)
