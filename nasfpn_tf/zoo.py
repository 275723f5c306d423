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

"""Builds detectors by name: finds the configuration, builds the model and loads its weights."""

import os
from collections.abc import Mapping
from typing import Any

from absl import logging
from official.core import config_definitions as cfg
from official.vision.modeling import retinanet_model

from nasfpn_tf.data.records import manifest
from nasfpn_tf.modeling import detector, precision
from nasfpn_tf.modeling.weights import cache, known, pretrained, restore
from nasfpn_tf.training import checkpoints, compatibility
from nasfpn_tf.training import params as params_lib


def load_detector(
  reference: str,
  checkpoint: str | None = None,
  params_override: str | Mapping[str, Any] | None = None,
  experiment: str | None = None,
  dtype: str = precision.FLOAT32,
  weights: str | None = None,
) -> retinanet_model.RetinaNetModel:
  """Builds a detector and loads its weights.

  Example:
    model = load_detector('r50_nasfpn_7x256_640', checkpoint='runs/coco')
    model = load_detector('runs/blood_cells')  # a model_dir: its own params.yaml and its best checkpoint
    model = load_detector('r50_nasfpn_7x256_640', weights='coco')  # what scripts/import_weights.py brought here
    detections = model(images, training=False)

  Args:
    reference: name of a file in configs/, path of a YAML file, or a model_dir that training wrote.
    checkpoint: prefix of a checkpoint, or a directory, of which the newest is taken. None takes the best (else the
      newest) of a model_dir, and leaves any other model with its initial weights.
    params_override: changes to the configuration, as `--params_override` of train.py.
    experiment: registered experiment that the configuration starts from; None takes the one that its file names.
    dtype: float32 or bfloat16, in which the network computes; weights and detections are float32 in either.
    weights: 'coco' takes the published detector called `reference` that `scripts/import_weights.py` left on this
      machine, with the configuration that it was trained with (docs/weights.md).

  Returns:
    The built model, as returned by `build_detector`.

  Raises:
    FileNotFoundError: if there is no such name or file; the message lists the nearest names. Or if the weights have
      not been imported; the message has the command.
    ValueError: if the configuration is wrong, or the checkpoint does not exist or is of another architecture.
  """
  if weights is not None:
    if weights != known.COCO or checkpoint is not None:
      raise ValueError(f"weights is {weights!r}: it can be 'coco', without a checkpoint.")
    reference = cache.find(os.fspath(reference))
  params = load_experiment(reference, params_override, experiment)
  if checkpoint is None and os.path.isdir(reference):
    checkpoint = best_checkpoint(reference)
  if checkpoint is not None:
    checkpoint = checkpoints.resolve(checkpoint)
    compatibility.check_function(checkpoint, params.task.model)
    params.task.model = pretrained.without_pretrained_weights(params.task.model)
  with precision.computing_in(dtype):
    model = detector.build_detector(params.task.model)
  if checkpoint is not None:
    # The best checkpoint is saved as it is evaluated: with the averaged weights swapped in.
    restore.restore(model, checkpoint, use_average=not checkpoints.is_best(checkpoint))
    logging.info('Loaded %s.', checkpoint)
  return model


def load_experiment(
  reference: str,
  params_override: str | Mapping[str, Any] | None = None,
  experiment: str | None = None,
) -> cfg.ExperimentConfig:
  """Loads the configuration that `load_detector` builds; reads the number of classes from the manifest if unset.

  Raises:
    FileNotFoundError: if there is no such name or file.
    ValueError: if the configuration is wrong.
  """
  params = params_lib.load_params(experiment, reference, params_override)
  if not params.task.model.num_classes:
    found = manifest.find_manifest(params.task.train_data.input_path)
    if found is None:
      raise ValueError(
        f'{reference}: task.model.num_classes is 0, and there is no manifest of task.train_data.input_path to read it'
        " from; set it, e.g. params_override='task.model.num_classes=4' for three kinds of object."
      )
    params.task.model.num_classes = found.num_classes
  return params


def best_checkpoint(model_dir: str) -> str:
  """Returns the best checkpoint of a training, or the newest if none was evaluated.

  Raises:
    ValueError: there is neither, or the best one is damaged or has lost a file: the newest is another model.
  """
  best = os.path.join(model_dir, checkpoints.BEST_DIR)
  if os.path.lexists(best) and not os.path.isdir(best):
    raise ValueError(f'{best}: not the directory of the best checkpoint: copy it again, or name another checkpoint.')
  if checkpoints.available(best):
    return checkpoints.resolve(best)
  lost = checkpoints.without_index(best)
  if lost:
    raise ValueError(
      f'{lost[0]}.index is missing, without which the best checkpoint of {model_dir} cannot be read: copy it again, or'
      ' name another checkpoint.'
    )
  return checkpoints.resolve(model_dir)
