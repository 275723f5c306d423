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

"""Defines the signatures of an anytime detector in a SavedModel: one per exit, and those that refine step by step.

Every part of the network is one function that the signatures call, so graphs and weights are stored once.
"""

import dataclasses
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from nasfpn_tf.artifacts import signatures
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.export import module
from nasfpn_tf.modeling import anytime

Features = Mapping[str, tf.Tensor]
LEVEL, IMAGE_INFO, EXIT_STAGE, MODEL_KEY = 'level_', 'image_info', 'exit_stage', 'model_key'


def build(
  model: tf_keras.Model,
  input_size: Sequence[int],
  batch_size: int | None = None,
  keep_aspect_ratio: bool = True,
  frozen: bool = False,
) -> module.DetectionModule:
  """Builds the module of a detector, with or without exits."""
  kind = AnytimeModule if isinstance(model, anytime.AnytimeRetinaNet) else module.DetectionModule
  return kind(model, input_size, batch_size, keep_aspect_ratio, frozen)


@dataclasses.dataclass(frozen=True)
class _Parts:
  """Functions of the parts; as attributes of the module each would be stored a second time.

  Attributes:
    begin: backbone and first pyramid.
    stages: the other pyramids.
    heads: of every exit.
    suppress: post-processing.
  """

  begin: Callable[[tf.Tensor], Features]
  stages: Sequence[Callable[[Features], Features]]
  heads: Sequence[Callable[[Features], Mapping[str, Features]]]
  suppress: Callable[[Mapping[str, Features], tf.Tensor], Features]


class AnytimeModule(module.DetectionModule):
  """Anytime detector with its preprocessing, ready for `tf.saved_model.save`; a plain call runs to the last exit.

  Attributes:
    num_exits: number of exits.
    feature_specs: {'level_<l>': shape and type} of the features between two pyramids.
  """

  def _build_parts(self, model: anytime.AnytimeRetinaNet) -> _Parts:
    self.num_exits = model.num_exits
    levels, width = model.decoder.spec.levels, model.decoder.num_filters
    self.feature_specs = {
      f'{LEVEL}{level}': tf.TensorSpec([self._batch_size, *(side >> level for side in self._input_size), width])
      for level in levels
    }
    names = list(self.feature_specs)
    self._model_key = _fingerprint(model)

    def first(images: tf.Tensor) -> Features:
      return _float32(zip(names, model.begin(images).features, strict=True))

    def stage_function(stage: tf_keras.layers.Layer) -> Callable[[Features], Features]:
      def refine(features: Features) -> Features:
        return _float32(zip(names, stage([features[name] for name in names], training=False), strict=True))

      return refine

    def head_function(head: tf_keras.layers.Layer) -> Callable[[Features], Mapping[str, Features]]:
      def predict(features: Features) -> Mapping[str, Features]:
        scores, boxes, _ = head({str(level): features[f'{LEVEL}{level}'] for level in levels})
        return {'cls_outputs': scores, 'box_outputs': boxes}

      return predict

    later = model.decoder.stages[1:]
    functions = [*map(stage_function, later), *map(head_function, model.heads)]
    begin, *shared = self._shared(
      (first, self._images_spec), *((function, self.feature_specs) for function in functions)
    )
    return _Parts(begin, shared[: len(later)], shared[len(later) :], self._suppression(model))

  def signatures(self, input_type: str = 'image_bytes') -> dict[str, Callable]:
    """Returns the signatures by name: those of `DetectionModule`, for the last exit, and those of the exits.

    Args:
      input_type: see `DetectionModule.signatures`.

    Returns:
      Also `exit_<k>`, with the input and outputs of `image_tensor`; and, to reuse what was computed, `begin` (from
      the input of `image_tensor` to a state of exit 1), `refine_<k>` (from a state of exit k - 1 to one of exit k) and
      `detect_<k>` (from a state of exit k to the outputs of `image_tensor`). A state is `level_<l>` float32 [batch,
      height_l, width_l, num_filters] for each level, `image_info` float32 [batch, 4, 2], and int32 [batch] `exit_stage`
      and `model_key`, which identifies the weights.
    """
    image_input = {'inputs': tf.TensorSpec([self._batch_size, None, None, 3], tf.uint8, name='inputs')}
    state = {
      **self.feature_specs,
      IMAGE_INFO: tf.TensorSpec([self._batch_size, 4, 2]),
      EXIT_STAGE: tf.TensorSpec([self._batch_size], tf.int32),
      MODEL_KEY: tf.TensorSpec([self._batch_size], tf.int32),
    }
    state = {name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in state.items()}
    functions = {signatures.BEGIN: (self.begin, image_input)}
    for k in range(1, self.num_exits + 1):
      functions[signatures.exit_key(k)] = (self._exit_function(k), image_input)
      functions[signatures.detect_key(k)] = (self._detect_function(k), state)
      if k > 1:
        functions[signatures.refine_key(k)] = (self._refine_function(k), state)
    added = {name: tf.function(function).get_concrete_function(**spec) for name, (function, spec) in functions.items()}
    return {**super().signatures(input_type), **added}

  def begin(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Computes the state of exit 1 from images (uint8 [batch, height, width, 3])."""
    images, image_info = self._letterbox(lambda image: image, inputs)
    return self._state(self._parts.begin(images), image_info, 1)

  def raw(self, inputs: tf.Tensor, exit_stage: int | None = None) -> dict[str, tf.Tensor]:
    """Runs `DetectionModule.raw` up to an exit, by default the last."""
    exit_stage = exit_stage or self.num_exits
    return self.raw_of(self._features(preprocess.normalize(inputs), exit_stage), exit_stage)

  def raw_of(self, features: Features, exit_stage: int) -> dict[str, tf.Tensor]:
    """Computes the outputs of `raw` from the features after `exit_stage` pyramids."""
    return self._raw(self._parts.heads[exit_stage - 1](features))

  def begin_normalized(self, images: tf.Tensor) -> Features:
    """Computes the features after the first pyramid from normalized images [batch, input height, input width, 3]."""
    return self._parts.begin(images)

  def refine(self, features: Features, exit_stage: int) -> Features:
    """Computes the features after `exit_stage` pyramids from those after one fewer."""
    return self._parts.stages[exit_stage - 2](features)

  def _refine_function(self, exit_stage: int) -> Callable[..., dict[str, tf.Tensor]]:
    def refine_state(**state: tf.Tensor) -> dict[str, tf.Tensor]:
      features = self._checked(state, exit_stage - 1, signatures.refine_key(exit_stage))
      return self._state(self.refine(features, exit_stage), state[IMAGE_INFO], exit_stage)

    return refine_state

  def _detect_function(self, exit_stage: int) -> Callable[..., dict[str, tf.Tensor]]:
    def detect(**state: tf.Tensor) -> dict[str, tf.Tensor]:
      features = self._checked(state, exit_stage, signatures.detect_key(exit_stage))
      return self._parts.suppress(self._parts.heads[exit_stage - 1](features), state[IMAGE_INFO])

    return detect

  def _exit_function(self, exit_stage: int) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    def detect(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
      return self._at_exit(*self._letterbox(lambda image: image, inputs), exit_stage)

    return detect

  def _detect_letterboxed(self, images: tf.Tensor, image_info: tf.Tensor) -> dict[str, tf.Tensor]:
    return self._at_exit(images, image_info, self.num_exits)

  def _at_exit(self, images: tf.Tensor, image_info: tf.Tensor, exit_stage: int) -> dict[str, tf.Tensor]:
    return self._parts.suppress(self._parts.heads[exit_stage - 1](self._features(images, exit_stage)), image_info)

  def _features(self, images: tf.Tensor, exit_stage: int) -> Features:
    features = self._parts.begin(images)
    for stage in self._parts.stages[: exit_stage - 1]:
      features = stage(features)
    return features

  def _state(self, features: Features, image_info: tf.Tensor, exit_stage: int) -> dict[str, tf.Tensor]:
    batch = tf.shape(image_info)[:1]
    facts = {EXIT_STAGE: tf.fill(batch, exit_stage), MODEL_KEY: tf.fill(batch, self._model_key)}
    return {**features, IMAGE_INFO: image_info, **facts}

  def _checked(self, state: Mapping[str, tf.Tensor], exit_stage: int, name: str) -> Features:
    """Returns the features of a state after checking its model, batch and `exit_stage`."""
    features = {level: state[level] for level in self.feature_specs}
    checks = [
      tf.debugging.assert_equal(state[MODEL_KEY], self._model_key, f'{name}: the state is of another model.'),
      tf.debugging.assert_equal(state[EXIT_STAGE], exit_stage, f'{name} takes a state of exit {exit_stage}.'),
    ]
    sizes = tf.stack([tf.shape(feature)[0] for feature in features.values()])
    what = f'{name}: {", ".join(features)} and {IMAGE_INFO} are not of one batch.'
    checks.append(tf.debugging.assert_equal(sizes, tf.shape(state[IMAGE_INFO])[0], what))
    with tf.control_dependencies([check for check in checks if check is not None]):
      return {level: tf.identity(feature) for level, feature in features.items()}


def _float32(features: Iterable[tuple[str, tf.Tensor]]) -> Features:
  """Gives features between two functions in float32, which every client has and to which bfloat16 converts exactly."""
  return {name: tf.cast(feature, tf.float32) for name, feature in features}


def _fingerprint(model: tf_keras.Model) -> int:
  """Names the weights of a model; not negative, int32."""
  key = 0
  for variable in model.variables:
    key = zlib.crc32(np.ascontiguousarray(variable.numpy()), key)
  return key & 0x7FFFFFFF
