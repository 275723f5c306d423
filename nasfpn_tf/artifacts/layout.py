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

"""Locates the parts of a model on disk: SavedModel versions, the JSON file beside a .tflite, a model_dir."""

import glob
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from nasfpn_tf import safe_json, whole_file

# In a SavedModel.
SAVED_MODEL = 'saved_model.pb'
VARIABLES = os.path.join('variables', 'variables')
EXTRA = 'assets.extra'  # TensorFlow Serving's directory for files that TensorFlow itself does not read.
FROZEN_WEIGHTS = os.path.join(EXTRA, 'weights')  # Prefix of the checkpoint kept beside frozen weights.
WARMUP = os.path.join(EXTRA, 'tf_serving_warmup_requests')
TOPOLOGY, REPORT = 'topology.json', 'export.json'
# In a SavedModel and in a model_dir.
PARAMS = 'params.yaml'

TFLITE = '.tflite'
SHA256 = 'sha256'  # Key of the JSON file beside a .tflite.


def find_saved_model(path: str) -> str | None:
  """Returns the directory of a SavedModel: `path` or its highest version; None if neither is a SavedModel."""
  if not os.path.isdir(path):
    return None
  versions = sorted(filter(_is_version, os.listdir(path)), key=int, reverse=True)
  for directory in [path, *(os.path.join(path, version) for version in versions)]:
    if os.path.isfile(os.path.join(directory, SAVED_MODEL)):
      return directory
  return None


def latest_version(path: str) -> str:
  """Returns the directory of a SavedModel: `path` or its highest version.

  Raises:
    FileNotFoundError: there is no SavedModel.
  """
  found = find_saved_model(path)
  if found is None:
    raise FileNotFoundError(f'{path}: no {SAVED_MODEL} in it or in a numbered directory below it.')
  return found


def next_version(export_dir: str) -> int:
  """Returns the next version number of `export_dir`: the highest plus one, or 1 if it has none."""
  names = os.listdir(export_dir) if os.path.isdir(export_dir) else []
  return max((int(name) for name in names if _is_version(name)), default=0) + 1


def _is_version(name: str) -> bool:
  """Tells whether a directory is one of a version; '²' is a digit, but not a number."""
  return name.isascii() and name.isdecimal()


def saved_model_checkpoint(directory: str) -> str:
  """Returns the prefix of the checkpoint in a SavedModel of `export_saved_model.py`, frozen or not.

  Raises:
    FileNotFoundError: that of frozen weights has lost its .index.
  """
  frozen = os.path.join(directory, FROZEN_WEIGHTS)
  if os.path.isfile(frozen + '.index'):
    return frozen
  if glob.glob(glob.escape(frozen) + '.data-*'):
    raise FileNotFoundError(f'{frozen}.index is missing, without which the weights cannot be read: copy it again.')
  return os.path.join(directory, VARIABLES)


def is_model_dir(path: str) -> bool:
  """Tells whether `path` is the model_dir of a training; a SavedModel also has a params.yaml, but is not one."""
  return os.path.isfile(os.path.join(path, PARAMS)) and not os.path.isfile(os.path.join(path, SAVED_MODEL))


def sidecar_path(tflite_path: str) -> str:
  """Returns the path of the JSON file beside a .tflite: the same name with the suffix .json."""
  return os.path.splitext(tflite_path)[0] + '.json'


def write_sidecar(tflite_path: str, facts: Mapping[str, Any]) -> str:
  """Writes the JSON file beside `tflite_path`; returns its path."""
  path = sidecar_path(tflite_path)
  with whole_file.naming(path), open(path, 'w', encoding='utf-8') as file:
    json.dump({'format': 1, 'kind': 'tflite', **facts}, file, indent=2)
    file.write('\n')
  return path


def read_sidecar(tflite_path: str) -> dict[str, Any]:
  """Reads the JSON file beside `tflite_path`.

  Raises:
    FileNotFoundError: there is none: another program wrote the .tflite, or the two files were separated.
    ValueError: the file is not JSON or not a mapping, or the .tflite is not the file that it describes. What has been
      changed since the export does not reach LiteRT, which may crash on it.
  """
  path = sidecar_path(tflite_path)
  try:
    facts = safe_json.load(path)
  except FileNotFoundError as error:
    raise FileNotFoundError(
      f'{path} is missing. It describes {tflite_path}: export_tflite.py writes it beside the .tflite; keep both'
      f' together. Files of other programs have none and cannot be read.'
    ) from error
  except ValueError as error:
    raise ValueError(f'{error}: export the .tflite again.') from error
  if not isinstance(facts, dict):
    raise ValueError(f'{path}: not written by export_tflite.py: it holds a {type(facts).__name__}.')
  if SHA256 not in facts:
    raise ValueError(f'{path}: has no SHA-256 of {tflite_path}; export_tflite.py writes one: export again.')
  _check_digest(tflite_path, facts[SHA256])
  return facts


def is_sidecar(path: str) -> bool:
  """Tells whether a JSON file is one of those beside a .tflite, or what damage has left of one."""
  try:
    facts = safe_json.load(path)
  except ValueError:
    with open(path, 'rb') as file:
      return file.read(64).lstrip()[:11] in (b'', b'{\n  "format')
  return isinstance(facts, dict) and facts.get('kind') == 'tflite'


def partial_path(tflite_path: str) -> str:
  """Returns the path at which a .tflite is written before it replaces `tflite_path`."""
  return os.path.splitext(tflite_path)[0] + '.partial' + TFLITE


def _check_digest(tflite_path: str, digest: Any) -> None:
  """Makes sure that a .tflite is the one described; finishes an export that was killed between its two files."""
  found = os.path.isfile(tflite_path)
  if found and sha256(tflite_path) == digest:
    return
  staged = partial_path(tflite_path)
  if os.path.isfile(staged) and sha256(staged) == digest:
    os.replace(staged, tflite_path)
    return
  if not found:
    raise FileNotFoundError(f'{tflite_path} is missing; {sidecar_path(tflite_path)} describes it: keep both together.')
  raise ValueError(
    f'{tflite_path}: its content is not what {sidecar_path(tflite_path)} describes (SHA-256): the file is damaged, or'
    ' the two are of different exports. Copy both again, or export again.'
  )


def sha256(path: str) -> str:
  """Returns the SHA-256 of a file in hexadecimal."""
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, 'sha256').hexdigest()


def check_path(path: str) -> None:
  """Raises a ValueError if TensorFlow would treat `path` as a pattern and not find its files again.

  TensorFlow looks for checkpoints and variables by pattern, and cannot be told that a mark is a letter. It also deletes
  old checkpoints so, and with a `*` those of other directories.
  """
  found = [mark for mark in '[*?\\' if mark in path]
  if found:
    raise ValueError(
      f'{path}: TensorFlow takes the {found[0]} in this path for a part of a pattern and would not find the files: use'
      ' another name.'
    )


def size_bytes(path: str) -> int:
  """Returns the size in bytes of a file, or of all files below a directory."""
  if os.path.isfile(path):
    return os.path.getsize(path)
  return sum(os.path.getsize(os.path.join(root, name)) for root, _, names in os.walk(path) for name in names)
