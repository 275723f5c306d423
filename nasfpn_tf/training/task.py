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

"""Defines the detection task: Model Garden's RetinaNet task with this project's model, input, losses and evaluation."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from absl import logging
from official.core import task_factory
from official.vision.tasks import retinanet

from nasfpn_tf import config
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.modeling import anytime, detector
from nasfpn_tf.modeling.weights import cache, restore, warm_start
from nasfpn_tf.training import (
  checkpoints,
  compatibility,
  evaluation,
  inputs,
  losses,
  padding,
  quantization_aware,
  summaries,
)

_CALIBRATION_BATCHES = 8  # Of quantization-aware training.
_LOSS_NAMES = ('total_loss', 'cls_loss', 'box_loss', 'model_loss')


@task_factory.register_task_cls(config.DetectionTask)
class DetectionTask(retinanet.RetinaNetTask):
  """Trains and evaluates the detector that a `config.DetectionTask` describes.

  Example:
    task = DetectionTask(params.task, labels=manifest.labels)
    model = task.build_model()
  """

  def __init__(
    self,
    params: config.DetectionTask,
    logging_dir: str | None = None,
    name: str | None = None,
    labels: Sequence[Mapping[str, Any]] | None = None,
    start_step: int = 0,
    is_partial: bool = False,
    ground_truth: Mapping[str, Any] | None = None,
  ):
    """Keeps the configuration.

    Args:
      params: the task's configuration, with `annotation_file` set where the task is to evaluate.
      logging_dir: see Model Garden's task.
      name: see Model Garden's task.
      labels: the model's labels, as in the manifest of the records; None: labels are the user's category ids.
      start_step: steps that earlier runs have trained; a seeded input goes on behind their batches.
      is_partial: evaluation may see only a part of the images of the annotations.
      ground_truth: the annotations, where there is no `annotation_file`.
    """
    super().__init__(params, logging_dir=logging_dir, name=name)
    self._labels = labels
    self._start_step = start_step
    self._is_partial = is_partial
    self._ground_truth = ground_truth
    self.load_report = None  # Of `initialize`.
    self._evaluator = None
    self._exit_evaluators: list[evaluation.CocoEvaluator] = []
    self._summary_images = None

  @property
  def evaluator(self) -> evaluation.CocoEvaluator:
    """Of the last evaluation; an anytime detector's is that of its last exit."""
    return self._evaluator

  def build_model(self) -> tf_keras.Model:
    """Builds the detector, with the parts frozen that the configuration wants frozen."""
    decay = self.task_config.losses.l2_weight_decay
    # Keras' l2 is w**2, the recipe's is w**2 / 2.
    model = detector.build_detector(self.task_config.model, tf_keras.regularizers.l2(decay / 2.0) if decay else None)
    if self.task_config.freeze_backbone:
      model.backbone.trainable = False
    elif self.task_config.freeze_batch_norm:
      freeze_batch_norm(model.backbone)
    if self.task_config.quantization_aware:
      freeze_batch_norm(model)
      quantization_aware.prepare(model)
    return model

  def initialize(self, model: tf_keras.Model) -> None:
    """Starts from `init_checkpoint`, if there is one; 'coco' and 'imagenet' are imported weights, see `cache.resolve`.

    Raises:
      FileNotFoundError: the weights have not been imported.
      ValueError: the checkpoint does not exist, or is of another model.
    """
    modules = self.task_config.init_checkpoint_modules
    if self.task_config.quantization_aware:
      self._initialize_quantization_aware(model)
      return
    resolved = starting_checkpoint(self.task_config)
    if not resolved:
      return
    parts = {'all': ('backbone', 'decoder', 'head'), warm_start.FITTING: ('backbone', 'decoder')}.get(str(modules))
    parts = parts or ([modules] if isinstance(modules, str) else modules)
    compatibility.check_function(resolved, self.task_config.model, parts)
    try:
      self.load_report = warm_start.start(model, resolved, modules)
    except (restore.NonFiniteWeightsError, restore.DamagedCheckpointError):
      raise
    except (ValueError, tf.errors.OpError) as error:
      raise ValueError(
        f'task.init_checkpoint {self.task_config.init_checkpoint} does not fit the model'
        f' ({" ".join(str(error).split())[:500]}). With other classes'
        f' or another pyramid start from what fits: task.init_checkpoint_modules is {modules!r}, it can be'
        f' {warm_start.FITTING}, [backbone] or [backbone, decoder].'
      ) from error
    logging.info('%s', self.load_report)

  def _initialize_quantization_aware(self, model: tf_keras.Model) -> None:
    """Takes all weights from `init_checkpoint`, then finds the ranges of the activations in training batches."""
    resolved = starting_checkpoint(self.task_config)
    if not resolved:
      raise ValueError(
        'task.quantization_aware fine-tunes a trained detector: name it in task.init_checkpoint, e.g. runs/cells/best.'
      )
    compatibility.check_function(resolved, self.task_config.model)
    detector_alone = model.rounding.without_ranges(model)
    restore.restore(detector_alone, resolved, use_average=not checkpoints.is_best(resolved))
    batches = self.build_inputs(self.task_config.train_data).take(_CALIBRATION_BATCHES)
    model.rounding.calibrate(model, (preprocess.to_network(images) for images, _ in batches))

  def build_inputs(
    self, params: config.DataConfig, input_context: tf.distribute.InputContext | None = None
  ) -> tf.data.Dataset:
    """Builds batches of (images, labels); see `inputs.build_inputs`."""
    # A pipeline feeds one batch a step to each of its replicas.
    num_replicas = input_context.num_replicas_in_sync // input_context.num_input_pipelines if input_context else 1
    if params.is_training:
      skip_batches = self._start_step * num_replicas if params.seed is not None else 0
      return inputs.build_inputs(params, self.task_config.model, input_context, skip_batches)
    dataset = inputs.build_inputs(params, self.task_config.model, input_context)
    if isinstance(tf.distribute.get_strategy(), tf.distribute.TPUStrategy):
      batch_size = params.global_batch_size
      if input_context:
        batch_size = input_context.get_per_replica_batch_size(batch_size)
      dataset = padding.fill_batches(dataset, batch_size, num_extra=num_replicas - 1)
    return dataset

  def build_losses(
    self, outputs: Mapping[str, Any], labels: Mapping[str, Any], aux_losses: list[tf.Tensor] | None = None
  ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Computes the losses of a replica's batch: (total, classification, box, total without auxiliary losses).

    With exits, classification and box loss are the weighted sums over them; the auxiliary losses count once.
    """
    params = self.task_config.losses
    exits, weights = [outputs], [1.0]
    if 'exits' in outputs:
      exits, weights = outputs['exits'], anytime.exit_weights(self.task_config.model)
    of_exits = [
      losses.detection_losses(
        exit_outputs['cls_outputs'],
        exit_outputs['box_outputs'],
        labels,
        num_classes=self.task_config.model.num_classes,
        focal_alpha=params.focal_loss_alpha,
        focal_gamma=params.focal_loss_gamma,
        huber_delta=params.huber_loss_delta,
        by_image=self.task_config.model.recompute_head,
      )
      for exit_outputs in exits
    ]
    cls_loss, box_loss = (
      tf.add_n([weight * loss for weight, loss in zip(weights, of_kind, strict=True)])
      for of_kind in zip(*of_exits, strict=True)
    )
    model_loss = cls_loss + params.box_loss_weight * box_loss
    total_loss = params.loss_weight * (model_loss + (tf.add_n(aux_losses) if aux_losses else 0.0))
    return total_loss, cls_loss, box_loss, model_loss

  def build_metrics(self, training: bool = True) -> list[tf_keras.metrics.Metric]:
    """Creates running means of the four losses; in evaluation also reads the ground truth."""
    if not training:
      self._evaluator = self._build_evaluator(self.task_config.per_category_metrics)
      if self.task_config.model.anytime.enabled:
        num_early = self.task_config.model.decoder.get().num_repeats - 1
        self._exit_evaluators = [self._build_evaluator(per_category=False) for _ in range(num_early)]
      names = {int(label['label']): label['name'] for label in self._labels or ()}
      self._summary_images = summaries.DetectionImages(names)
    return [tf_keras.metrics.Mean(name, dtype=tf.float32) for name in _LOSS_NAMES]

  def _build_evaluator(self, per_category: bool) -> evaluation.CocoEvaluator:
    return evaluation.CocoEvaluator(
      self._ground_truth or self.task_config.annotation_file,
      self._labels,
      per_category=per_category,
      max_detections=self.task_config.max_num_eval_detections,
    )

  def train_step(
    self,
    inputs: tuple[tf.Tensor, Mapping[str, Any]],
    model: tf_keras.Model,
    optimizer: tf_keras.optimizers.Optimizer,
    metrics: list | None = None,
  ) -> dict[str, Any]:
    """Computes losses and gradients of a replica's batch and updates the weights; see Model Garden's task."""
    return super().train_step((preprocess.to_network(inputs[0]), inputs[1]), model, optimizer, metrics)

  def validation_step(
    self, inputs: tuple[tf.Tensor, Mapping[str, Any]], model: tf_keras.Model, metrics: list | None = None
  ) -> dict[str, Any]:
    """Computes loss, detections (of every exit, in one pass) and, if wanted, images of a replica's batch."""
    images, labels = preprocess.to_network(inputs[0]), inputs[1]
    options = {'all_exits': True} if isinstance(model, anytime.AnytimeRetinaNet) else {}
    image_shape = labels['image_info'][:, 1, :]
    outputs = model(images, anchor_boxes=labels['anchor_boxes'], image_shape=image_shape, training=False, **options)
    outputs = tf.nest.map_structure(lambda x: tf.cast(x, tf.float32) if x.dtype.is_floating else x, outputs)
    values = dict(zip(_LOSS_NAMES, self.build_losses(outputs, labels, model.losses), strict=True))
    for metric in metrics or []:
      metric.update_state(values[metric.name], sample_weight=padding.num_images(labels))
    logs = {
      self.loss: values['total_loss'],
      'detections': _detections(outputs, labels),
      'early_detections': [_detections(early, labels) for early in outputs.get('exits', [])[:-1]],
    }
    if self.task_config.allow_image_summary:
      truth = labels['groundtruths']
      shown = {'images': images, 'boxes': truth['boxes'], 'classes': truth['classes']}
      logs['summary_images'] = {key: value[: summaries.NUM_IMAGES] for key, value in shown.items()}
    return logs

  def aggregate_logs(self, state: Any = None, step_outputs: Mapping[str, Any] | None = None) -> bool:
    """Hands the detections of one step, tuples with a tensor of each replica, to the evaluator."""
    evaluators = [self._evaluator, *self._exit_evaluators]
    if state is None:
      self._summary_images.reset()
      for evaluator in evaluators:
        evaluator.reset()
    replicas = _by_replica(step_outputs['detections'])
    of_exits = [replicas, *map(_by_replica, step_outputs['early_detections'])]
    for evaluator, of_replicas in zip(evaluators, of_exits, strict=True):
      for detections in of_replicas:
        is_image = detections['source_ids'] != padding.FILLER_ID
        evaluator.add(**{key: value[is_image] for key, value in detections.items()})
    if 'summary_images' in step_outputs:
      for shown, detections in zip(_by_replica(step_outputs['summary_images']), replicas, strict=True):
        is_image = detections['source_ids'][: len(shown['images'])] != padding.FILLER_ID
        self._summary_images.add(shown['images'][is_image], shown, detections)
    return True

  def reduce_aggregated_logs(self, aggregated_logs: Any, global_step: tf.Tensor | None = None) -> dict[str, float]:
    """Computes COCO's metrics of all images seen; also writes the images to TensorBoard.

    An anytime detector's are those of its last exit; `exit_<k>/AP` and the others of COCO's twelve are of exit k.
    """
    self._summary_images.write()
    metrics = self._evaluator.evaluate(allow_missing=self._is_partial)
    if not self.task_config.model.anytime.enabled:
      return metrics
    of_exits = [evaluator.evaluate(allow_missing=self._is_partial) for evaluator in self._exit_evaluators]
    of_exits.append({name: value for name, value in metrics.items() if '/' not in name})
    return metrics | {
      f'exit_{k}/{name}': value for k, values in enumerate(of_exits, start=1) for name, value in values.items()
    }


def _detections(outputs: Mapping[str, Any], labels: Mapping[str, Any]) -> dict[str, tf.Tensor]:
  """Returns the arguments of `CocoEvaluator.add`."""
  return {
    'source_ids': labels['source_id'],
    'image_info': labels['image_info'],
    'boxes': outputs['detection_boxes'],
    'scores': outputs['detection_scores'],
    'classes': outputs['detection_classes'],
    'num_detections': outputs['num_detections'],
  }


def _by_replica(values: Mapping[str, tuple]) -> list[dict[str, np.ndarray]]:
  """Splits tuples with a tensor of each replica into a dictionary of arrays per replica."""
  return [
    {key: np.asarray(value) for key, value in zip(values, replica, strict=True)}
    for replica in zip(*values.values(), strict=True)
  ]


def freeze_batch_norm(model: tf_keras.Model) -> None:
  """Makes every batch norm of `model` use its stored statistics and keep its weights."""
  for module in model.submodules:
    # Plain and synchronized batch norm have no public class in common.
    if isinstance(module, tf_keras.layers.Layer) and hasattr(module, 'moving_variance'):
      module.trainable = False


def starting_checkpoint(task_config: config.DetectionTask) -> str:
  """Returns the checkpoint that `task.init_checkpoint` names or stands for, '' for random values.

  Raises:
    FileNotFoundError: the weights have not been imported.
    ValueError: the checkpoint does not exist, or no published weights are for such a model.
  """
  path = cache.resolve(task_config.init_checkpoint, task_config.model.as_dict())
  try:
    return checkpoints.resolve(path) if path else ''
  except ValueError as error:
    raise ValueError(f"task.init_checkpoint: {error} 'coco', 'imagenet' and 'none' are names, too.") from error
