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

"""Where an export gets its model from: a training, a configuration with a checkpoint, or a SavedModel of ours."""

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tf_keras
from official.core import config_definitions as cfg

from nasfpn_tf import zoo
from nasfpn_tf.data import manifest
from nasfpn_tf.export import saved_model
from nasfpn_tf.training import checkpoints


@dataclasses.dataclass(frozen=True)
class Source:
  """A detector with all that its exports carry along.

  Attributes:
    model: with its weights.
    params: the experiment it was trained in.
    labels: `{label, id, name}` of every class; None where nothing tells.
    origin: the checkpoint or SavedModel that the weights are from.
  """

  model: tf_keras.Model
  params: cfg.ExperimentConfig
  labels: Sequence[Mapping[str, Any]] | None
  origin: str


def load(
  reference: str, checkpoint: str | None = None, params_override: str | Mapping[str, Any] | None = None
) -> Source:
  """Loads a trained detector.

  Args:
    reference: a model_dir of a training, a SavedModel (or the directory of its versions), or, with `checkpoint`, what
      `zoo.load_detector` takes.
    checkpoint: prefix of a checkpoint, or a directory whose newest is meant; None: the best of a model_dir.
    params_override: changes to the configuration.

  Raises:
    FileNotFoundError: there is no such model or checkpoint.
    ValueError: the configuration and the weights do not fit, or there are no weights.
  """
  directory = reference
  if checkpoint is None:
    try:
      directory = saved_model.latest_version(reference)
      checkpoint = os.path.join(directory, 'variables', 'variables')
    except FileNotFoundError:
      if not os.path.isdir(reference):
        raise ValueError(
          f'{reference}: a configuration has no weights to export; give a checkpoint too, or a model_dir or SavedModel.'
        ) from None
      checkpoint = zoo.best_checkpoint(reference)
  params = zoo.load_experiment(directory, params_override)
  model = zoo.load_detector(directory, checkpoint, params_override)
  return Source(model, params, read_labels(directory, params), checkpoints.resolve(checkpoint))


def read_labels(directory: str, params: cfg.ExperimentConfig) -> Sequence[Mapping[str, Any]] | None:
  """The labels.json beside a model, or those of the training records' manifest; None where neither exists."""
  path = os.path.join(directory, saved_model.LABELS)
  if os.path.isfile(path):
    with open(path, encoding='utf-8') as file:
      return json.load(file)
  found = manifest.find_manifest(params.task.train_data.input_path)
  return found.labels if found else None
