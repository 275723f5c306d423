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
"""Finds the published weights that `scripts/import_weights.py` left on this machine, or says the command."""

import glob
import os
import re
from collections.abc import Mapping
from typing import Any

from nasfpn_tf.config import checking
from nasfpn_tf.modeling.weights import known

NONE = 'none'
_VARIABLE = 'NASFPN_TF_CACHE'


def directory() -> str:
  """Returns where imported weights are kept: $NASFPN_TF_CACHE, else nasfpn_tf in the user's cache directory."""
  caches = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
  return os.environ.get(_VARIABLE) or os.path.join(caches, 'nasfpn_tf')


def path_of(name: str) -> str:
  """Returns the model directory that a published checkpoint is imported to by default."""
  return os.path.join(directory(), name)


def find(name: str, data: str = known.COCO) -> str:
  """Returns the model directory of an imported checkpoint.

  Raises:
    ValueError: no published checkpoint of that name is known.
    FileNotFoundError: it has not been imported; the message has the command, and what it downloads.
  """
  if name not in known.names(data):
    raise ValueError(f'there are no {data!r} weights of {name!r}; {checking.nearest(name, known.names(data))}')
  path = path_of(name)
  if not glob.glob(os.path.join(glob.escape(path), '*.index')):
    address = known.KNOWN[name].url
    published = re.search(r'-([0-9a-f]{8})\.pth$', address)
    checked = f'the SHA-256 begins with {published.group(1)}' if published else 'length and MD5 are those of the server'
    raise FileNotFoundError(
      f'the {data!r} weights of {name} are not in {path}: `python scripts/import_weights.py --url={name}` downloads'
      f' {address} ({checked}) and imports it.'
    )
  return path


def resolve(init_checkpoint: str | None, model: Mapping[str, Any]) -> str:
  """Returns the path that a `task.init_checkpoint` stands for.

  Args:
    init_checkpoint: a path, which is returned as it is; 'coco' or 'imagenet', the imported weights for the model; or
      'none' or None for random values, which gives ''.
    model: `task.model` as a dictionary.

  Raises:
    ValueError: no published weights are for such a model.
    FileNotFoundError: they have not been imported; the message has the command.
  """
  if not init_checkpoint or init_checkpoint == NONE:
    return ''
  if init_checkpoint not in (known.COCO, known.IMAGENET):
    return init_checkpoint
  name = known.name_for(init_checkpoint, model)
  if name is None:
    kinds = f'backbone {model["backbone"]["type"]!r}, decoder {model["decoder"]["type"]!r}'
    raise ValueError(
      f'task.init_checkpoint: no {init_checkpoint!r} weights are known for this model ({kinds}), only for'
      f' {", ".join(known.names(init_checkpoint))}: name a checkpoint, or {NONE!r} for random values.'
    )
  try:
    return find(name, init_checkpoint)
  except FileNotFoundError as error:
    raise FileNotFoundError(f'task.init_checkpoint: {error} {NONE!r} starts from random values instead.') from error
