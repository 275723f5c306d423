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

"""Configures the child network of a trial: the training of an evaluator with the trial's architecture."""

import dataclasses
import errno
import functools
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
from official.core import config_definitions as cfg

from nasfpn_tf import config as config_lib
from nasfpn_tf import failure, topology
from nasfpn_tf.config import checking
from nasfpn_tf.modeling import cost as cost_lib
from nasfpn_tf.modeling import detector, validation
from nasfpn_tf.modeling.weights import cache, pretrained
from nasfpn_tf.search.evaluators.reward import Reward
from nasfpn_tf.search.problems import DeviceLost, SearchError, StorageFull
from nasfpn_tf.search.space import SearchSpace, changes
from nasfpn_tf.search.trial import Measurement
from nasfpn_tf.training import checkpoints, recipe
from nasfpn_tf.training import params as params_lib

_COSTS = ('multiply_adds', 'latency_ms', 'bytes')
_MODE = 'train_and_eval'
# What TensorFlow says of a GPU that has fallen off the bus, or of a driver that was restarted; too little memory is no
# such error.
_DEVICE_LOST = re.compile(r'CUDA_ERROR_(?!OUT_OF_MEMORY)|cudaError(?!MemoryAllocation)|(GPU|device) (is|was) lost')


@dataclasses.dataclass(frozen=True)
class ChildConfig:
  """The keys that all evaluators which train children have in a search configuration.

  Attributes:
    config_file: the training that children have in common: files or names in configs/, later ones over earlier.
    params_override: its changes, a mapping as in a training's YAML; with it a search is one file.
    experiment: registered experiment that they change.
    architecture_key: where in the experiment the architecture goes, as JSON text, or '' if it is changes to the
      experiment; what the space says by default.
    cost: what AP is weighed against and reported beside: 'multiply_adds' of the detector for one image, 'latency_ms' of
      its TFLite form on this machine, or the 'bytes' of that form in float32.
    reward: `target` and `exponent` of `Reward`; AP alone by default.
    seed: of the children's weights and batches, the same for all unless the training has a seed of its own.

  Raises:
    SearchError: at construction, naming the key.
  """

  config_file: str | Sequence[str] = ()
  params_override: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  experiment: str = params_lib.DEFAULT_EXPERIMENT
  architecture_key: str = SearchSpace.architecture_key
  cost: str = 'multiply_adds'
  reward: Mapping[str, float] = dataclasses.field(default_factory=dict)
  seed: int = 0

  def __post_init__(self):
    check_types(self)
    if self.cost not in _COSTS:
      raise SearchError(f'evaluator: cost {self.cost!r} is unknown; choose one of {", ".join(_COSTS)}.')
    self.reward_function()

  @classmethod
  def read(cls, config: Mapping[str, Any], space: SearchSpace | None = None) -> 'ChildConfig':
    """Reads the evaluator's part of a search configuration, given the space that it searches."""
    known = [field.name for field in dataclasses.fields(cls)]
    for key in config:
      if key not in known:
        raise SearchError(f'evaluator: key {key!r} does not exist; {checking.nearest(key, known)}')
    return cls(**config) if space is None else cls(**{'architecture_key': space.architecture_key, **config})

  def reward_function(self) -> Reward:
    """Returns the function from AP and cost to the reward."""
    try:
      return Reward(**self.reward)
    except (TypeError, ValueError) as e:
      raise SearchError(f'evaluator: reward {self.reward!r}: {e}') from e

  def experiment_of(self, architecture: Mapping[str, Any]) -> cfg.ExperimentConfig:
    """Builds the experiment that trains and evaluates a child.

    It is evaluated once, at the end; no best checkpoint is kept, since the best of several evaluations would favor
    children that are evaluated often.

    Args:
      architecture: its JSON form.

    Raises:
      SearchError: the configuration or its records cannot be used for any child.
    """
    try:
      params = params_lib.load_params(self.experiment, self.config_file, self.params_override)
      params = params.replace()
      params.override(changes(architecture, self.architecture_key))
      params.override(
        {
          'task': {'allow_image_summary': False, 'per_category_metrics': False},
          'trainer': {
            'validation_interval': params.trainer.train_steps,
            'best_checkpoint_export_subdir': '',
            'max_to_keep': 1,
          },
        }
      )
      if params.task.train_data.seed is None:
        params.task.train_data.seed = self.seed
      validation.check(recipe.complete(params, _MODE).params.task.model)
      start = cache.resolve(params.task.init_checkpoint, params.task.model.as_dict())
      if start:
        checkpoints.resolve(start)
    except (KeyError, ValueError, OSError) as e:
      raise SearchError(f'evaluator: {e.args[0] if isinstance(e, KeyError) else e}') from e
    return params

  def cost_of(self, params: cfg.ExperimentConfig) -> float:
    """Measures the cost of the child of `experiment_of`, in the unit of `cost`."""
    model = recipe.complete(params, _MODE).params.task.model
    if self.cost == 'multiply_adds':
      return float(multiply_adds(model))
    from nasfpn_tf.modeling import latency

    return latency.measure_ms(model) if self.cost == 'latency_ms' else float(latency.size_bytes(model))

  def check_target(self, space: SearchSpace) -> None:
    """Measures the cheapest architectures of a space that knows them.

    Raises:
      SearchError: none costs as little as the target of the reward.
    """
    target = self.reward_function().target
    cheapest = space.cheapest() if target is not None else []
    costs = (self.cost_of(self.experiment_of(space.decode(tokens).to_dict())) for tokens in cheapest)
    least = math.inf
    for cost in costs:
      least = min(least, cost)
      if least <= target:
        return
    if cheapest:
      raise SearchError(
        f'evaluator.reward.target: no architecture of the space {space.name!r} costs {target:g} {self.cost} or less;'
        f' the cheapest costs {least:g}. Raise the target, or add smaller sizes to the space.'
      )


def check_types(config: Any) -> None:
  """Checks an evaluator's dataclass against the types of its fields; a `SearchError` names the key."""
  try:
    checking.check(config, 'evaluator')
  except ValueError as e:
    raise SearchError(str(e)) from e


def failure_of(error: Exception, seconds: float, work_dir: str) -> Measurement:
  """Returns the measurement of a child that failed.

  Raises:
    SearchError: it is not the child's fault: the disk is full (`StorageFull`) or the device is gone (`DeviceLost`).
  """
  reason = failure.message(error)
  if getattr(error, 'errno', None) in (errno.ENOSPC, errno.EDQUOT) or os.strerror(errno.ENOSPC) in reason:
    raise StorageFull(work_dir) from error
  if isinstance(error, tf.errors.UnavailableError | tf.errors.AbortedError) or _DEVICE_LOST.search(reason):
    raise DeviceLost(reason) from error
  return Measurement.failure(f'{type(error).__name__}: {reason}', seconds)


def multiply_adds(model: config_lib.Detector) -> int:
  """Counts multiply-adds of a detector for one image: the pyramid in closed form, the rest once per process.

  Args:
    model: with the number of classes and the topology filled in.
  """
  if model.decoder.type != 'feature_pyramid':
    return cost_lib.count_multiply_adds(detector.build_detector(model), model.input_size)
  rest = pretrained.without_pretrained_weights(model).replace(decoder={'feature_pyramid': {'topology': 'fpn'}})
  besides, filters = _besides_the_pyramid(json.dumps(rest.as_dict()), type(model))
  return besides + _pyramid_multiply_adds(model, filters)


@functools.lru_cache(maxsize=8)
def _besides_the_pyramid(model_json: str, kind: type) -> tuple[int, dict[int, int]]:
  """Returns (multiply-adds of backbone and heads, channels of the backbone's levels)."""
  model_config = kind()
  model_config.override(json.loads(model_json))
  model = detector.build_detector(model_config)
  filters = {int(level): shape[-1] for level, shape in model.backbone.output_specs.items()}
  total = cost_lib.count_multiply_adds(model, model_config.input_size)
  return total - _pyramid_multiply_adds(model_config, filters), filters


def _pyramid_multiply_adds(model: config_lib.Detector, filters: Mapping[int, int]) -> int:
  pyramid = model.decoder.feature_pyramid
  return topology.multiply_adds(
    topology.resolve(pyramid.topology, model.min_level, model.max_level),
    pyramid.num_repeats,
    pyramid.num_filters,
    tuple(model.input_size[:2]),
    filters,
    pyramid.use_separable_conv,
    pyramid.project_each_edge,
    pyramid.coarse_convs,
  )
