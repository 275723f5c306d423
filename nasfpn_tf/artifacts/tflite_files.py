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

"""Writes a .tflite and the JSON file beside it atomically: both or neither, even if the process is killed."""

import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from nasfpn_tf import whole_file
from nasfpn_tf.artifacts import layout


def write(
  path: str, content: bytes, facts: Mapping[str, Any], accept: Callable[[str], Mapping[str, Any]] | None = None
) -> Mapping[str, Any]:
  """Writes both files; returns the facts.

  The JSON file gets its name first. Its SHA-256 tells `layout.read_sidecar` which .tflite belongs to it, and the staged
  one is put in place there, should the process be killed before it is here.

  Args:
    path: of the .tflite; an existing one is replaced.
    content: of the .tflite.
    facts: of the JSON file, with the SHA-256 of `content`.
    accept: called with the path of the finished file before it gets its name; may raise, then nothing is left. What it
      returns goes into the JSON file, too.

  Raises:
    OSError, ValueError: see `check_place`.
  """
  check_place(path)
  os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
  partial = layout.partial_path(path)
  staged = layout.sidecar_path(partial)
  try:
    with whole_file.naming(path), open(partial, 'wb') as file:
      file.write(content)
      file.flush()
      os.fsync(file.fileno())
    layout.write_sidecar(partial, facts)
    if accept:
      facts = {**facts, **accept(partial)}
      layout.write_sidecar(partial, facts)
    os.replace(staged, layout.sidecar_path(path))
    os.replace(partial, path)
  finally:
    _finish(path, partial, staged)
  return facts


def check_place(path: str) -> None:
  """Checks that both files can be written, before the work whose result they are.

  Raises:
    OSError: something else has the name of the .tflite or of the JSON file, or nothing can be written there.
    ValueError: the name is not that of a .tflite, or the JSON file beside it is of something else, such as annotations.
  """
  if not path.endswith(layout.TFLITE):
    raise ValueError(f'{path}: the file name must end in {layout.TFLITE}.')
  sidecar = layout.sidecar_path(path)
  for place in (path, sidecar):
    whole_file.check_place(place)
  if os.path.lexists(sidecar) and not layout.is_sidecar(sidecar):
    raise ValueError(
      f'{sidecar} exists and is not of an export, but the JSON file of {path} has this name: name another .tflite, or'
      ' move it away.'
    )


def _finish(path: str, partial: str, staged: str) -> None:
  """Leaves both new files or both old ones, as after Ctrl-C between the two names."""
  if os.path.exists(partial) and not os.path.exists(staged) and _belongs(path, partial):
    os.replace(partial, path)
  for leftover in (partial, staged):
    if os.path.exists(leftover):
      os.remove(leftover)


def _belongs(path: str, partial: str) -> bool:
  """Tells whether the JSON file beside `path` describes `partial`."""
  try:
    with open(layout.sidecar_path(path), encoding='utf-8') as file:
      return json.load(file)[layout.SHA256] == layout.sha256(partial)
  except (OSError, ValueError, KeyError):
    return False
