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
"""Writes a plan as a YAML file for `train.py`, with the reason of every line as its comment."""

import textwrap
from collections.abc import Sequence
from typing import Any

import yaml

from nasfpn_tf.fit.plan.rules import Choice

_WIDTH = 120


def render(choices: Sequence[Choice], header: Sequence[str], experiment: str) -> str:
  """Writes choices as YAML.

  Args:
    choices: keys of the experiment, dotted; each key once.
    header: lines of the comment on top.
    experiment: the registered experiment that the choices change.

  Returns:
    Text whose keys are nested as the dots say, in the order in which they first appear, and whose values stand in flow
    style with their reasons as comments.

  Raises:
    ValueError: a key is chosen twice, or is a part of another.
  """
  tree: dict[str, Any] = {}
  for choice in choices:
    *path, last = choice.key.split('.')
    node = tree
    for name in path:
      node = node.setdefault(name, {})
      if isinstance(node, Choice):
        raise ValueError(f'{choice.key} lies inside {node.key}, which is set, too.')
    if last in node:
      raise ValueError(f'{choice.key} is chosen twice.')
    node[last] = choice
  lines = [f'# {line}'.rstrip() for line in header]
  return '\n'.join([*lines, f'experiment: {experiment}', *_lines(tree, 0)]) + '\n'


def _lines(tree: dict[str, Any], depth: int) -> list[str]:
  indent, lines = '  ' * depth, []
  for name, node in tree.items():
    if not isinstance(node, Choice):
      lines += [f'{indent}{name}:', *_lines(node, depth + 1)]
      continue
    line = f'{indent}{name}: {_flow(node.value)}'
    if len(line) + len(node.reason) + 4 <= _WIDTH:
      lines.append(f'{line}  # {node.reason}')
    else:
      lines += textwrap.wrap(node.reason, _WIDTH, initial_indent=f'{indent}# ', subsequent_indent=f'{indent}# ')
      lines.append(line)
  return lines


def _flow(value: Any) -> str:
  """Formats a value on one line."""
  text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**9)
  return text.removesuffix('\n').removesuffix('\n...')
