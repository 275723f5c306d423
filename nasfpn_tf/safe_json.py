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

"""Reads JSON from untrusted files: bounded in size and depth, without values that JSON does not have."""

import json
import os
import re
from typing import Any

MAX_DEPTH = 64  # Whoever walks over a value may recurse.
MAX_BYTES = 64 * 2**20  # Annotations, which may be larger, are read elsewhere.


def load(path: str | os.PathLike[str], max_bytes: int = MAX_BYTES) -> Any:
  """Reads a file.

  Raises:
    OSError: it cannot be read.
    ValueError: it is not JSON as `loads` takes it, or larger than `max_bytes`; the message names the file.
  """
  with open(path, 'rb') as file:
    content = file.read(max_bytes + 1)
  if len(content) > max_bytes:
    raise ValueError(f'{os.fspath(path)}: larger than {max_bytes >> 20} MB, too large for a file of this kind.')
  try:
    return loads(content.decode('utf-8-sig'))
  except UnicodeDecodeError as error:
    raise ValueError(f'{os.fspath(path)}: not UTF-8 text ({error.reason} at byte {error.start}).') from error
  except ValueError as error:
    raise ValueError(f'{os.fspath(path)}: {error}') from error


def loads(text: str) -> Any:
  """Reads a text.

  Raises:
    ValueError: it is not JSON, has a key twice, a number that is not finite, or is nested deeper than `MAX_DEPTH`.
  """
  try:
    value = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_unique)
  except json.JSONDecodeError as error:
    # From Python 3.12 on the parser goes down thousands of levels and fails for another reason.
    if _depth(text[: error.pos]) > MAX_DEPTH:
      raise ValueError(_TOO_DEEP) from None
    raise ValueError(f'not JSON: {error}') from error
  except RecursionError:
    raise ValueError(_TOO_DEEP) from None
  level, depth = [value], 0
  while level:
    depth += 1
    if depth > MAX_DEPTH + 1:
      raise ValueError(_TOO_DEEP)
    level = [inner for outer in level if isinstance(outer, dict | list) for inner in _children(outer)]
  return value


_TOO_DEEP = f'nested deeper than {MAX_DEPTH} levels'


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', re.DOTALL)


def _depth(text: str) -> int:
  """Returns how many lists and mappings are open at the end of the beginning of a JSON text."""
  depth = 0
  for token in _TOKEN.finditer(text):
    depth += {'[': 1, '{': 1, ']': -1, '}': -1}.get(token[0], 0)
  return depth


def _children(value: dict[str, Any] | list[Any]) -> list[Any]:
  return list(value.values()) if isinstance(value, dict) else value


def _refuse(constant: str) -> None:
  raise ValueError(f'{constant} is not a JSON number')


def _finite(text: str) -> float:
  number = float(text)
  if number in (float('inf'), float('-inf')):
    raise ValueError(f'the number {text[:20]} is too large')
  return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  result = dict(pairs)
  if len(result) < len(pairs):
    keys = [key for key, _ in pairs]
    raise ValueError(f'the key {next(key for key in keys if keys.count(key) > 1)!r} is given twice')
  return result
