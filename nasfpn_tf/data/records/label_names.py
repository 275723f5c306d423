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

"""Reads the names of labels, from labels.json beside a model or from the manifest of its training records."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from absl import logging

from nasfpn_tf import safe_json
from nasfpn_tf.data.records import manifest

FILE = 'labels.json'


def of_model(
  directory: str, num_classes: int, input_path: str | Sequence[str] | None = None
) -> Sequence[Mapping[str, Any]]:
  """Returns `{label, id, name}` of every class, or an empty list if nothing records them.

  Args:
    directory: of the model.
    num_classes: of the model, with the background.
    input_path: the records it was trained on, for a model without labels.json.

  Raises:
    ValueError: labels.json is not of the known form, or the labels are not the model's.
  """
  path = os.path.join(directory, FILE)
  if os.path.lexists(path):
    labels = _read(path)
  else:
    found = manifest.find_manifest(input_path)
    if not found:
      return []
    path, labels = found.path, found.labels
  check(labels, num_classes, path)
  return labels


def check(labels: Sequence[Mapping[str, Any]], num_classes: int, path: str) -> None:
  """Makes sure that labels are those of a model with `num_classes`, background included.

  Labels that end before the model's are a warning: `num_classes` may be set higher than the data needs.

  Raises:
    ValueError: naming `path`: there is none, one occurs twice, or one is beyond the model's.
  """
  numbers = sorted(entry['label'] for entry in labels)
  if len(set(numbers)) < len(numbers):
    raise ValueError(f'{path}: lists a label twice.')
  if not numbers or numbers[0] < 1 or numbers[-1] >= num_classes:
    which = f'labels {numbers[0]} to {numbers[-1]}' if numbers else 'no label'
    raise ValueError(
      f'{path}: names {which}, but the model has labels 1 to {num_classes - 1} (num_classes {num_classes} with the'
      ' background): take the file that was written when the model was trained.'
    )
  if numbers[-1] < num_classes - 1:
    logging.warning(
      '%s: names labels up to %d, but the model has 1 to %d; what has no name is called by its number. Is it the file'
      ' that was written when the model was trained?',
      path,
      numbers[-1],
      num_classes - 1,
    )


def parse(value: Any, path: str) -> Sequence[Mapping[str, Any]]:
  """Returns the labels of a JSON list of `{label, id, name}`; a ValueError names `path` if it is none."""
  try:
    return list(manifest.parse_labels(value))
  except (ValueError, KeyError, TypeError) as error:
    raise ValueError(f'{path}: no list of {{label, id, name}} ({type(error).__name__}: {error}).') from error


def _read(path: str) -> Sequence[Mapping[str, Any]]:
  try:
    value = safe_json.load(path)
  except ValueError as error:
    raise ValueError(f'{error}: no list of {{label, id, name}}.') from error
  return parse(value, path)
