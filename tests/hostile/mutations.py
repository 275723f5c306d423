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

"""Damages files in the ways that disks, copies, editors and attackers do; the same seed does the same."""

import json
import random
from typing import Any

_VALUES = (None, True, -1, 0, 3, 2**40, 1e300, 0.5, '', 'x', [], {}, [[]], 'a' * 5000, '\u0000')
_TEXTS = (
  b'NaN',
  b'1e999',
  b'[' * 3000,
  b'{"a":' * 3000,
  b'\xff\xfe',
  b'\x00',
  b'&a *a',
  b'9' * 5000,
  b'!!python/object:os.system x',
)


def mutate(content: bytes, rng: random.Random) -> bytes:
  """Returns `content` with one to three changes."""
  for _ in range(rng.randint(1, 3)):
    content = rng.choice((_flip, _cut, _repeat, _swap, _insert, _json))(content, rng)
  return content


def _flip(content: bytes, rng: random.Random) -> bytes:
  changed = bytearray(content)
  for _ in range(rng.choice((1, 1, 4, 32)) if changed else 0):
    changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
  return bytes(changed)


def _cut(content: bytes, rng: random.Random) -> bytes:
  return content[: rng.randint(0, len(content))]


def _repeat(content: bytes, rng: random.Random) -> bytes:
  start = rng.randint(0, len(content))
  end = rng.randint(start, len(content))
  return content[:end] + content[start:end] * rng.choice((1, 2, 20)) + content[end:]


def _swap(content: bytes, rng: random.Random) -> bytes:
  a, b, c = sorted(rng.randint(0, len(content)) for _ in range(3))
  return content[:a] + content[b:c] + content[a:b] + content[c:]


def _insert(content: bytes, rng: random.Random) -> bytes:
  place = rng.randint(0, len(content))
  return content[:place] + rng.choice(_TEXTS) + content[place:]


def _json(content: bytes, rng: random.Random) -> bytes:
  """Changes the type of a value, or drops or adds one; other than JSON is flipped."""
  try:
    value = json.loads(content)
  except (ValueError, RecursionError):
    return _flip(content, rng)
  places: list[tuple[Any, Any]] = []
  queue = [value]
  while queue:
    item = queue.pop()
    keys = list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
    places += [(item, key) for key in keys]
    queue += [item[key] for key in keys]
  if places:
    parent, key = rng.choice(places)
    if rng.random() < 0.3:
      del parent[key]
    else:
      parent[key] = rng.choice(_VALUES)
  return json.dumps(value).encode()
