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

"""Completes an experiment's parameters with what depends on the data and the devices."""

import copy
import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from official.core import config_definitions as cfg

from nasfpn_tf import topology
from nasfpn_tf.data.input import undescribed
from nasfpn_tf.data.records import manifest as manifest_lib
from nasfpn_tf.modeling import precision
from nasfpn_tf.topology import spinenet
from nasfpn_tf.training import schedule

SMALL_BATCH = 32  # Below it NAS-FPN was reported unstable with batch norm statistics of one replica.
SMALL_REPLICA_BATCH = 16

# Fields of Model Garden's learning rate schedules that hold a rate.
_RATE_FIELDS = ('learning_rate', 'initial_learning_rate', 'end_learning_rate', 'warmup_learning_rate', 'values')


@dataclasses.dataclass(frozen=True)
class Recipe:
  """Parameters of one run.

  Attributes:
    params: the experiment; no field is left to be derived.
    saved: the experiment as params.yaml keeps it: the paths as the user gave them.
    labels: `{label, id, name}` of every class, as in the manifest of the records; without one, of the classes in the
      validation records; None where nothing tells.
    ground_truth: COCO value made from the validation records, where there is no COCO JSON of them; else None.
    num_train_images: None where no manifest tells, or the mode does not train.
    num_validation_images: likewise.
    notes: what was derived, for the user.
  """

  params: cfg.ExperimentConfig
  saved: cfg.ExperimentConfig
  labels: Sequence[Mapping[str, Any]] | None
  num_train_images: int | None
  num_validation_images: int | None
  ground_truth: Mapping[str, Any] | None
  notes: tuple[str, ...]


def complete(params: cfg.ExperimentConfig, mode: str, for_tpu: bool = False, num_replicas: int = 1) -> Recipe:
  """Fills in classes, annotations, topology, precision and learning rates, and checks that they fit together.

  Args:
    params: the experiment as configured; it is left as it is.
    mode: 'train', 'eval', 'train_and_eval' or 'continuous_eval'.
    for_tpu: choose post-processing that XLA compiles.
    num_replicas: among which a batch is divided.

  Raises:
    ValueError: naming the key and what to do.
    FileNotFoundError: records that do not exist.
  """
  params = params.replace()
  task, trainer = params.task, params.trainer
  if isinstance(task.model.input_size, tuple):
    task.model.input_size = list(task.model.input_size)
  used = {'task.train_data': task.train_data} if 'train' in mode else {}
  used |= {'task.validation_data': task.validation_data} if 'eval' in mode else {}
  described = {name: _manifests(name, data) for name, data in used.items()}
  manifests = {name: next(iter(found), None) for name, found in described.items()}
  _check_same_labels(manifests)
  for data in used.values():
    undescribed.check_labels(_without_manifest(data.input_path), task.model.num_classes)
  notes = _set_precision(params.runtime, for_tpu)
  main = next((manifest for manifest in manifests.values() if manifest), None)
  if main is not None:
    notes += _set_num_classes(task.model, main)
  elif not task.model.num_classes:
    prefixes = (
      manifest_lib.prefixes_of(pattern)[0]
      for data in used.values()
      for pattern in manifest_lib.split_patterns(data.input_path)
    )
    missing = next((f'{prefix}{manifest_lib.SUFFIX}' for prefix in prefixes), 'a manifest beside the records')
    raise ValueError(
      f'task.model.num_classes is 0 and there is no {missing} to read it from: write the records with'
      ' create_tfrecord.py, or set task.model.num_classes (including the background: 2 for one kind of object).'
    )
  pyramid = getattr(task.model.decoder, str(task.model.decoder.type), None)
  if hasattr(pyramid, 'topology'):
    pyramid.topology = topology.resolve(pyramid.topology, task.model.min_level, task.model.max_level).to_json()
  if task.model.backbone.type == 'scale_permuted':
    backbone = task.model.backbone.scale_permuted
    backbone.architecture = spinenet.resolve(backbone.architecture).to_json()
  if 'train' in mode:
    notes += _scale_learning_rates(trainer, task.train_data.global_batch_size)
    notes += _warnings(params, num_replicas)
    _check_intervals(trainer)
    notes += schedule.surprises(trainer)
  saved = copy.deepcopy(params)
  ground_truth = None
  if 'eval' in mode and not task.annotation_file:
    validation = manifests['task.validation_data']
    if len(described['task.validation_data']) > 1:
      raise ValueError(
        'task.validation_data.input_path names several sets of records, each with its own COCO JSON: name only one,'
        ' or give a COCO JSON for all of them as task.annotation_file.'
      )
    if validation is not None and manifest_lib.exists(validation.annotations_path):
      task.annotation_file = validation.annotations_path
    else:
      files = manifest_lib.match_shards(task.validation_data.input_path)
      ground_truth = undescribed.ground_truth(files, validation.labels if validation else ())
      notes.append(
        f'ground truth: {len(ground_truth["annotations"])} boxes on {len(ground_truth["images"])} images, from the'
        f' validation records, because there is no COCO JSON beside them'
      )
  generator = task.model.detection_generator
  if for_tpu and generator.nms_version == 'class_offset':
    generator.nms_version = 'class_offset_xla'  # After `saved`: elsewhere the faster one is meant.
    notes.append("detection_generator.nms_version is 'class_offset_xla' here, the same in ops that XLA compiles")
  labels = [dict(label) for label in main.labels] if main else None
  if labels is None and ground_truth is not None:
    labels = [{'label': item['id'], 'id': item['id'], 'name': item['name']} for item in ground_truth['categories']]
  num_images = {name: sum(manifest.num_records for manifest in found) for name, found in described.items() if found}
  return Recipe(
    params,
    saved,
    labels=labels,
    num_train_images=num_images.get('task.train_data'),
    num_validation_images=len(ground_truth['images']) if ground_truth else num_images.get('task.validation_data'),
    ground_truth=ground_truth,
    notes=tuple(notes),
  )


def _manifests(name: str, data: Any) -> list[manifest_lib.Manifest]:
  if not data.input_path:
    raise ValueError(f'{name}.input_path is not set: give the prefix of the records, e.g. data/train-*.')
  if not isinstance(data.global_batch_size, int) or data.global_batch_size < 1:
    raise ValueError(f'{name}.global_batch_size is {data.global_batch_size!r}; it must be positive.')
  patterns = manifest_lib.split_patterns(data.input_path)
  if not manifest_lib.match_shards(patterns):
    raise FileNotFoundError(f'{name}.input_path: no file matches {data.input_path!r}.')
  return manifest_lib.find_manifests(patterns)


def _without_manifest(input_path: Any) -> list[str]:
  patterns = manifest_lib.split_patterns(input_path)
  return [
    file
    for pattern in patterns
    if not manifest_lib.find_manifest(pattern)
    for file in manifest_lib.match_shards(pattern)
  ]


def _check_same_labels(manifests: Mapping[str, manifest_lib.Manifest | None]) -> None:
  """Checks that training and validation records agree on the meaning of every label."""
  named = [(name, manifest) for name, manifest in manifests.items() if manifest]
  for (name_a, a), (name_b, b) in itertools.pairwise(named):
    of_a = {entry['label']: (entry['id'], entry['name']) for entry in a.labels}
    for entry in b.labels:
      label, meaning = entry['label'], (entry['id'], entry['name'])
      if of_a.get(label, meaning) != meaning:
        raise ValueError(
          f'Label {label} is category {of_a[label]} in {name_a} ({a.path}) and {meaning} in {name_b} ({b.path}): write '
          'both with the same categories, or with --labels=category_id.'
        )


def _set_precision(runtime: Any, for_tpu: bool) -> list[str]:
  """Resolves a `mixed_precision_dtype` of 'auto'."""
  if (runtime.mixed_precision_dtype or precision.FLOAT32) != precision.AUTO:
    return []
  runtime.mixed_precision_dtype, why = precision.of_device(for_tpu)
  return [f'runtime.mixed_precision_dtype is {runtime.mixed_precision_dtype}: {why}']


def _set_num_classes(model: Any, manifest: manifest_lib.Manifest) -> list[str]:
  notes = []
  if not model.num_classes:
    model.num_classes = manifest.num_classes
    notes.append(f'num_classes is {manifest.num_classes}, background included, from {manifest.path}')
  exact = manifest.label_scheme == 'contiguous'
  if model.num_classes < manifest.num_classes or (exact and model.num_classes != manifest.num_classes):
    raise ValueError(
      f'task.model.num_classes is {model.num_classes}, but the records of {manifest.path} have labels up to '
      f'{manifest.num_classes - 1}, which makes {manifest.num_classes} with the background: set that, or 0 to read it '
      'from the manifest.'
    )
  return notes


def _scale_learning_rates(trainer: Any, batch_size: int) -> list[str]:
  """Applies the linear scaling rule; afterwards the rates are written for this batch."""
  written_for = trainer.learning_rate_batch_size
  if not written_for or written_for == batch_size:
    return []
  factor = batch_size / written_for
  for group in (trainer.optimizer_config.learning_rate, trainer.optimizer_config.warmup):
    options = group.get() if group.type else None
    for field in _RATE_FIELDS:
      rate = getattr(options, field, None)
      if rate is not None:
        setattr(options, field, [r * factor for r in rate] if isinstance(rate, (list, tuple)) else rate * factor)
  trainer.learning_rate_batch_size = batch_size
  return [f'learning rates times {factor:g}: they are given for batch {written_for}, this is {batch_size}']


def _warnings(params: cfg.ExperimentConfig, num_replicas: int) -> list[str]:
  """Warns of settings that are known to make NAS-FPN unstable."""
  batch_size, notes = params.task.train_data.global_batch_size, []
  if batch_size < SMALL_BATCH and params.task.model.decoder.type == 'feature_pyramid':
    missing = [] if _clips(params.trainer.optimizer_config) else ['no clipping of the gradients']
    missing += [] if params.trainer.optimizer_config.warmup.type else ['no warm-up']
    notes.append(
      f'warning: batch {batch_size} is under {SMALL_BATCH}, at which stacked pyramids are less stable'
      + (f', and there is {" and ".join(missing)}' if missing else '')
      + ': docs/training.md, small batches'
    )
  if num_replicas > 1 and not params.task.model.norm_activation.use_sync_bn:
    of_replica = batch_size // num_replicas
    if of_replica < SMALL_REPLICA_BATCH:
      notes.append(
        f'warning: batch norm computes its statistics from {of_replica} images, those of one replica:'
        ' task.model.norm_activation.use_sync_bn=true uses the images of all replicas'
      )
  return notes


def _clips(optimizer_config: Any) -> bool:
  optimizer = optimizer_config.optimizer.get()
  names = ('clipnorm', 'clipvalue', 'global_clipnorm', 'gradient_clip_norm')
  return any(getattr(optimizer, name, None) for name in names)


def _check_intervals(trainer: Any) -> None:
  if trainer.train_steps < 1:
    raise ValueError(f'trainer.train_steps is {trainer.train_steps}; give the number of steps to train.')
  if trainer.steps_per_loop < 1:
    raise ValueError(f'trainer.steps_per_loop is {trainer.steps_per_loop}; it must be positive.')
  if trainer.validation_interval < 1 or trainer.checkpoint_interval < 1:
    raise ValueError('trainer.validation_interval and trainer.checkpoint_interval must be positive.')
  # Orbit wants multiples; nothing of ours is written inside a loop, so rounding up changes no result.
  trainer.summary_interval = -(-max(1, trainer.summary_interval) // trainer.steps_per_loop) * trainer.steps_per_loop
