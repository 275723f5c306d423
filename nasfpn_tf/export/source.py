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

"""Loads the model to export: from a training, a configuration with a checkpoint, or a SavedModel of this project."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tf_keras
from official.core import config_definitions as cfg

from nasfpn_tf import zoo
from nasfpn_tf.artifacts import formats, layout
from nasfpn_tf.config import loading
from nasfpn_tf.data.records import label_names
from nasfpn_tf.modeling import anytime, detector, precision
from nasfpn_tf.modeling.weights import pretrained
from nasfpn_tf.training import checkpoints


@dataclasses.dataclass(frozen=True)
class Source:
  """A detector with everything that its exports need.

  Attributes:
    model: with its weights.
    params: the experiment it was trained in.
    labels: `{label, id, name}` of every class; where nothing tells, a class is named by its number.
    origin: the checkpoint or SavedModel that the weights are from.
    dtype: that the model computes in.
  """

  model: tf_keras.Model
  params: cfg.ExperimentConfig
  labels: Sequence[Mapping[str, Any]]
  origin: str
  dtype: str = precision.FLOAT32

  @property
  def input_size(self) -> tuple[int, int]:
    """Height and width of the network's input."""
    return tuple(self.params.task.model.input_size[:2])

  @property
  def keep_aspect_ratio(self) -> bool:
    """Whether images are letterboxed rather than stretched."""
    return self.params.task.validation_data.parser.keep_aspect_ratio

  def computing_in(self, dtype: str) -> 'Source':
    """Returns the same detector with a network that computes in `dtype`, float32 or bfloat16."""
    if dtype == self.dtype:
      return self
    with precision.computing_in(dtype):
      model = detector.build_detector(pretrained.without_pretrained_weights(self.params.task.model))
    model.set_weights(self.model.get_weights())
    return dataclasses.replace(self, model=model, dtype=dtype)

  def at_exit(self, exit_stage: int) -> 'Source':
    """Returns the detector of the first `exit_stage` pyramids of an anytime detector, without other exits.

    Raises:
      ValueError: it is no anytime detector, or has no such exit.
    """
    if not isinstance(self.model, anytime.AnytimeRetinaNet):
      raise ValueError(f'{self.origin}: there are no exits to choose from; task.model.anytime.enabled is false.')
    model = self.model.at_exit(exit_stage)
    params = self.params.replace()
    params.task.model.anytime.override({'enabled': False, 'loss_weights': []})
    params.task.model.decoder.feature_pyramid.num_repeats = exit_stage
    return dataclasses.replace(self, model=model, params=params)


def load(
  reference: str,
  checkpoint: str | None = None,
  params_override: str | Mapping[str, Any] | None = None,
  input_size: Sequence[int] | None = None,
) -> Source:
  """Loads a trained detector.

  Args:
    reference: a model_dir of a training, a SavedModel (or the directory of its versions), or, with `checkpoint`, what
      `zoo.load_detector` takes.
    checkpoint: prefix of a checkpoint, or a directory whose newest is meant; None: the best of a model_dir.
    params_override: changes to the configuration.
    input_size: height and width of the network's input; None: as trained.

  Raises:
    FileNotFoundError: there is no such model or checkpoint.
    ValueError: the configuration and the weights do not fit, or there are no weights.
  """
  directory = reference
  if checkpoint is None:
    exported = layout.find_saved_model(reference)
    if exported:
      directory, checkpoint = exported, layout.saved_model_checkpoint(exported)
    elif os.path.isdir(reference):
      formats.locate(reference)  # Says which files are missing.
      checkpoint = zoo.best_checkpoint(reference)
    else:
      loading.find_config(reference)  # Says where there is no such file and no such name.
      raise ValueError(
        f'{reference}: a configuration has no weights to export; give a checkpoint too, or a model_dir or SavedModel.'
      )
  override = loading.parse_override(params_override) if isinstance(params_override, str) else params_override
  override = dict(override or {})
  if input_size:
    override['task.model.input_size'] = [*input_size, 3]
  params = zoo.load_experiment(directory, override)
  model = zoo.load_detector(directory, checkpoint, override)
  return Source(model, params, read_labels(directory, params), checkpoints.resolve(checkpoint))


def parse_size(sides: Sequence[str] | None) -> tuple[int, int] | None:
  """Parses height and width from the values of a flag; a single value is the side of a square, None stays None."""
  if not sides:
    return None
  if len(sides) > 2 or not all(side.strip().isdigit() for side in sides):
    raise ValueError(f'An image size is height,width in pixels, or the side of a square, not {",".join(sides)!r}.')
  return int(sides[0]), int(sides[-1])


def read_labels(directory: str, params: cfg.ExperimentConfig) -> Sequence[Mapping[str, Any]]:
  """Reads the labels from the labels.json beside a model, from the manifest of its training records, or numbers them.

  Raises:
    ValueError: labels.json is not of the known form, or has labels that the model does not have.
  """
  num_classes = params.task.model.num_classes
  found = label_names.of_model(directory, num_classes, params.task.train_data.input_path)
  return found or [{'label': k, 'id': k, 'name': str(k)} for k in range(1, num_classes)]
