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

"""Implements anytime detection: heads after every stacked pyramid (arXiv 1904.07392, sec. 3.3 and appendix A).

Exit k is what the heads say after k pyramids, counted from 1; the last exit is the whole detector.
"""

import contextlib
import dataclasses
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras
from official.vision.modeling import retinanet_model
from official.vision.modeling.heads import dense_prediction_heads
from official.vision.ops import anchor

from nasfpn_tf import config
from nasfpn_tf.layers import blocks
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid

# Layers of Model Garden's head: those that exits can share, and those that hold the statistics of one exit.
_CONVOLUTIONS = ('_cls_convs', '_classifier', '_box_convs', '_box_regressor')
_NORMS = ('_cls_norms', '_box_norms')
_ANCHORS = ('min_level', 'max_level', 'num_scales', 'aspect_ratios', 'anchor_size')


@dataclasses.dataclass(frozen=True)
class AnytimeState:
  """The state of a detection between two exits; `tf.function` takes and returns it.

  Attributes:
    features: [batch, height_l, width_l, num_filters] for each level, finest first, after `exit_stage` pyramids.
    image_shape: [batch, 2], height and width that boxes are clipped to; None: they are not.
    exit_stage: how many pyramids have run.
    model_key: names the model that made it.
  """

  features: tuple[tf.Tensor, ...]
  image_shape: tf.Tensor | None
  exit_stage: int
  model_key: str

  def __tf_flatten__(self):
    return (self.exit_stage, self.model_key), (self.features, self.image_shape)

  @classmethod
  def __tf_unflatten__(cls, metadata, components):
    return cls(tuple(components[0]), components[1], *metadata)


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class EarlyHead(dense_prediction_heads.RetinaNetHead):
  """Model Garden's head for an exit that is not the last."""

  _norms_apart = False

  @contextlib.contextmanager
  def norms_apart(self) -> Iterator[None]:
    """Keeps convolutions and batch norms traced in this context apart when a converter optimizes them.

    Folded into a convolution, a batch norm takes a copy of the kernel with it: one for every level of every exit.
    """
    self._norms_apart = True
    try:
      yield
    finally:
      self._norms_apart = False

  def _apply_prediction_tower(self, features, convs, norms):
    if not self._norms_apart:
      return super()._apply_prediction_tower(features, convs, norms)
    x = features
    for conv, norm in zip(convs, norms, strict=True):
      scale = norm.gamma * tf.math.rsqrt(norm.moving_variance + norm.epsilon)
      # A product would be folded all the same; a convolution of one channel by one weight is not.
      x = tf.nn.depthwise_conv2d(conv(x), tf.reshape(scale, [1, 1, -1, 1]), [1, 1, 1, 1], 'SAME')
      x = self._activation(tf.nn.bias_add(x, norm.beta - norm.moving_mean * scale))
    return x


@tf_keras.utils.register_keras_serializable(blocks.PACKAGE)
class AnytimeRetinaNet(retinanet_model.RetinaNetModel):
  """Model Garden's RetinaNet with heads after every pyramid.

  Called as any detector it is the last exit, in inference and at its cost. In training, and with `all_exits`, its
  outputs also have 'exits', a list with the outputs of every exit.

  ```python
  early = model.at_exit(3)                        # a detector of three pyramids on the same weights

  state = model.begin(images)                     # backbone and first pyramid
  while state.exit_stage < model.num_exits and time_is_left():
    state = model.refine(state)                   # one pyramid more
  detections = model.detect(state)                # what at_exit(state.exit_stage)(images) gives
  ```
  """

  def __init__(
    self,
    backbone: tf_keras.Model,
    decoder: FeaturePyramid,
    head: tf_keras.layers.Layer,
    detection_generator: tf_keras.layers.Layer,
    early_heads: Sequence[tf_keras.layers.Layer] = (),
    **kwargs,
  ):
    """Puts the parts together.

    Args:
      backbone: images to features.
      decoder: the stacked pyramids.
      head: of the last exit.
      detection_generator: post-processing of every exit.
      early_heads: of the other exits, first to last but one; see `build_early_heads`.
      **kwargs: of Model Garden's RetinaNet.

    Raises:
      ValueError: there is not one head for each pyramid.
    """
    super().__init__(backbone, decoder, head, detection_generator, **kwargs)
    if len(early_heads) != decoder.num_repeats - 1:
      raise ValueError(f'{len(early_heads) + 1} heads for {decoder.num_repeats} pyramids; each needs one.')
    self._early_heads = list(early_heads)
    self._config_dict['early_heads'] = self._early_heads
    self._key = uuid.uuid4().hex

  @property
  def num_exits(self) -> int:
    """How many exits there are: as many as pyramids."""
    return len(self._early_heads) + 1

  @property
  def heads(self) -> list[tf_keras.layers.Layer]:
    """The head of every exit, first to last."""
    return [*self._early_heads, self.head]

  @property
  def shares_heads(self) -> bool:
    """Whether the heads have their convolutions in common."""
    return any(head._classifier is self.head._classifier for head in self._early_heads)

  @property
  def checkpoint_items(self) -> Mapping[str, Any]:
    """As Model Garden's, 'head' being the last exit's, with 'early_heads'."""
    return {**super().checkpoint_items, **({'early_heads': self._early_heads} if self._early_heads else {})}

  def call(
    self,
    images: tf.Tensor,
    image_shape: tf.Tensor | None = None,
    anchor_boxes: Mapping[str, tf.Tensor] | None = None,
    output_intermediate_features: bool = False,
    training: bool | None = None,
    all_exits: bool | None = None,
  ) -> dict[str, Any]:
    """Runs the detector like Model Garden's RetinaNet.

    Args:
      images: [batch, height, width, 3].
      image_shape: see Model Garden's.
      anchor_boxes: see Model Garden's.
      output_intermediate_features: see Model Garden's.
      training: whether this is a step of training.
      all_exits: compute every exit; None: in training.

    Returns:
      The outputs of the last exit; with `all_exits` also 'exits', the outputs of each exit, the last included.
    """
    if not (training if all_exits is None else all_exits):
      return super().call(images, image_shape, anchor_boxes, output_intermediate_features, training)
    backbone_features = self.backbone(images)
    stages = self.decoder.stage_outputs(backbone_features)
    if not training and anchor_boxes is None:
      anchor_boxes = self._anchors(tf.shape(images)[0], images.shape[1:3])
    exits = []
    for head, features in zip(self.heads, stages, strict=True):
      exits.append(self._head_outputs(head, features, None if training else anchor_boxes, image_shape))
    outputs = {**exits[-1], 'exits': exits}
    if output_intermediate_features:
      outputs.update({f'backbone_{level}': feature for level, feature in backbone_features.items()})
      outputs.update({f'decoder_{level}': feature for level, feature in stages[-1].items()})
    return outputs

  def at_exit(self, exit_stage: int) -> retinanet_model.RetinaNetModel:
    """Returns the detector of the first `exit_stage` pyramids, on the same weights and without the later ones.

    Raises:
      ValueError: there is no such exit.
    """
    self._check_exit(exit_stage)
    model = retinanet_model.RetinaNetModel(
      self.backbone,
      self.decoder.first(exit_stage),
      self.heads[exit_stage - 1],
      self.detection_generator,
      anchor_boxes=self.anchor_boxes,
      **{key: self._config_dict[key] for key in _ANCHORS},
    )
    model.built = True
    return model

  def begin(self, images: tf.Tensor, image_shape: tf.Tensor | None = None) -> AnytimeState:
    """Runs the backbone and the first pyramid.

    Args:
      images: [batch, height, width, 3], as for `call`.
      image_shape: [batch, 2], height and width that boxes are clipped to; None: they are not.

    Returns:
      The state at exit 1, ready for `detect`.

    Raises:
      ValueError: `image_shape` is of another batch.
    """
    features = self.decoder.project(self.backbone(images, training=False), training=False)
    features = self.decoder.stages[0](features, training=False)
    if image_shape is not None:
      image_shape = tf.cast(image_shape, tf.float32)
    state = AnytimeState(tuple(features), image_shape, 1, self._key)
    self._check_state(state)
    return state

  def refine(self, state: AnytimeState) -> AnytimeState:
    """Runs one pyramid more; `state` stays as it is.

    Raises:
      ValueError: all pyramids have run, or the state is of another model or does not hang together.
    """
    self._check_state(state)
    if state.exit_stage >= self.num_exits:
      raise ValueError(f'the state is at the last exit, {self.num_exits}: there is no further pyramid to refine it.')
    features = self.decoder.stages[state.exit_stage](list(state.features), training=False)
    return dataclasses.replace(state, features=tuple(features), exit_stage=state.exit_stage + 1)

  def detect(self, state: AnytimeState) -> dict[str, Any]:
    """Heads and post-processing: what `at_exit(state.exit_stage)` gives for the images.

    Raises:
      ValueError: the state is of another model or does not hang together.
    """
    self._check_state(state)
    finest = state.features[0]
    # Sizes of images are multiples of the coarsest stride.
    size = [side << self.decoder.spec.min_level for side in finest.shape[1:3]]
    anchors = self._anchors(tf.shape(finest)[0], size)
    head = self.heads[state.exit_stage - 1]
    return self._head_outputs(head, self.decoder.by_level(state.features), anchors, state.image_shape)

  def _head_outputs(self, head, features, anchor_boxes, image_shape):
    """Computes raw outputs, and detections if there are anchors."""
    scores, boxes, _ = head(features)
    outputs = {'cls_outputs': scores, 'box_outputs': boxes}
    if anchor_boxes is not None:
      outputs.update(self.detection_generator(boxes, scores, anchor_boxes, image_shape))
    return outputs

  def _anchors(self, batch_size, image_size):
    """Computes {level: [batch, height_l, width_l, 4 * anchors_per_location]} like Model Garden's `call`."""
    boxes = self.anchor_boxes
    if boxes is None:
      options = {key: self._config_dict[key] for key in _ANCHORS}
      boxes = anchor.Anchor(**options, image_size=tuple(image_size)).multilevel_boxes
    return {level: tf.tile(tf.expand_dims(value, 0), [batch_size, 1, 1, 1]) for level, value in boxes.items()}

  def _check_exit(self, exit_stage: int) -> None:
    if isinstance(exit_stage, bool) or not isinstance(exit_stage, int) or not 1 <= exit_stage <= self.num_exits:
      raise ValueError(f'exit {exit_stage!r}: the exits are 1 to {self.num_exits}, the number of pyramids that run.')

  def _check_state(self, state: AnytimeState) -> None:
    if state.model_key != self._key:
      raise ValueError('the state belongs to another model; call refine and detect of the model that created it.')
    self._check_exit(state.exit_stage)
    if len(state.features) != self.decoder.spec.num_levels:
      raise ValueError(f'the state has {len(state.features)} features for {self.decoder.spec.num_levels} levels.')
    batches = {feature.shape[0] for feature in state.features}
    if state.image_shape is not None:
      batches.add(state.image_shape.shape[0])
    sizes = {tuple(side << i for side in feature.shape[1:3]) for i, feature in enumerate(state.features)}
    if len(batches - {None}) > 1 or len(sizes) > 1:
      raise ValueError(
        f'the state mixes several batches: its features are {[list(f.shape) for f in state.features]}, its'
        f' image_shape is {None if state.image_shape is None else list(state.image_shape.shape)}.'
      )


def build_early_heads(
  head: dense_prediction_heads.RetinaNetHead, pyramid: FeaturePyramid, share: bool
) -> list[EarlyHead]:
  """Heads for all pyramids but the last; their variables exist when this returns.

  Args:
    head: of the last pyramid, built.
    pyramid: the stacked pyramids, built.
    share: let them have the convolutions of `head`. Batch norms are always their own: the features of the pyramids
      differ in their statistics, and one set of statistics for all would fit none.
  """
  inputs = {level: tf_keras.Input(shape[1:]) for level, shape in pyramid.output_specs.items()}
  heads = []
  for exit_stage in range(1, pyramid.num_repeats):
    early = EarlyHead(**head.get_config(), name=f'exit_{exit_stage}')
    if share:
      early.build({level: value.shape for level, value in inputs.items()})
      for name in _CONVOLUTIONS:
        setattr(early, name, getattr(head, name))
    early(inputs)
    heads.append(early)
  return heads


def copy_head(model: AnytimeRetinaNet) -> None:
  """Gives every exit the weights of the last one's head, as a start from a detector with one exit."""
  for early in model.heads[:-1]:
    for name in (*_CONVOLUTIONS, *_NORMS):
      layers = zip(tf.nest.flatten(getattr(early, name)), tf.nest.flatten(getattr(model.head, name)), strict=True)
      for target, origin in layers:
        target.set_weights(origin.get_weights())


def exit_weights(model_config: config.Detector) -> list[float]:
  """Returns the weights of the losses of an anytime detector's exits, first to last.

  Raises:
    ValueError: `anytime.loss_weights` has another number of weights than there are pyramids, or they cannot be.
  """
  weights, num_exits = model_config.anytime.loss_weights, model_config.decoder.get().num_repeats
  if not weights:
    return [1.0 / num_exits] * num_exits
  if len(weights) != num_exits or min(weights) < 0 or not 0 < sum(weights) < float('inf'):
    raise ValueError(
      f'model.anytime.loss_weights is {weights}; {num_exits} numbers are needed, one for each pyramid'
      ' (model.decoder.feature_pyramid.num_repeats), none of them negative and not all 0.'
    )
  return [float(weight) for weight in weights]
