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

"""Computes RetinaNet's two losses as pure functions (arXiv 1708.02002; constants as in 1904.07392, sec. 4.1)."""

from collections.abc import Mapping

import tensorflow as tf


def focal_loss(
  logits: tf.Tensor, classes: tf.Tensor, weights: tf.Tensor, alpha: float, gamma: float, by_image: bool = False
) -> tf.Tensor:
  """Computes the sum of the weighted sigmoid focal loss.

  With x the logit of the right answer, x = logit for the anchor's own class and -logit for every other one, the loss is
  `alpha_t * sigmoid(-x)**gamma * softplus(-x)`; the power is taken as `exp(-gamma * softplus(x))`, which neither
  overflows nor loses its gradient. Between the passes only the logits are kept: with 91 classes a tensor of their size
  takes 28 MB for an image of 640 pixels, and automatic differentiation keeps several.

  Args:
    logits: `[batch, anchors, num_classes]`; the only argument with a gradient.
    classes: `[batch, anchors]`, the class of each anchor; a negative one has no class (background).
    weights: `[batch, anchors]`, 0 for anchors that do not count.
    alpha: weight of an anchor's own class; every other class weighs 1 - alpha.
    gamma: focusing parameter.
    by_image: work on one image after the other, so that the intermediate tensors are those of one image.

  Returns:
    Scalar float32.
  """
  weights = tf.cast(weights, tf.float32)[..., tf.newaxis]

  def answers(logits, classes):
    is_own = tf.equal(tf.cast(classes, tf.int32)[..., tf.newaxis], tf.range(logits.shape[-1]))
    logits = tf.cast(logits, tf.float32)
    right = tf.where(is_own, logits, -logits)
    return is_own, right, tf.nn.softplus(right)

  def summed(logits, classes, weights):
    is_own, right, softplus = answers(logits, classes)
    loss = tf.exp(-gamma * softplus) * (softplus - right)
    return tf.reduce_sum(tf.where(is_own, alpha, 1.0 - alpha) * loss * weights)

  def slope(logits, classes, weights):
    is_own, right, softplus = answers(logits, classes)
    probability = tf.sigmoid(right)
    slope = gamma * probability * (softplus - right) + (1.0 - probability)
    return weights * slope * tf.where(is_own, -alpha, 1.0 - alpha) * tf.exp(-gamma * softplus)

  def over_images(function, dtype, logits):
    if not by_image:
      return function(logits, classes, weights)
    one = lambda image: function(logits[image], classes[image], weights[image])  # noqa: E731
    return tf.map_fn(one, tf.range(tf.shape(logits)[0]), fn_output_signature=dtype, parallel_iterations=1)

  @tf.custom_gradient
  def weighted_sum(logits):
    def gradient(upstream):
      # Behind the upstream gradient, so that the graph does not keep what the forward pass computed.
      with tf.control_dependencies([upstream]):
        kept = tf.identity(logits)
      scaled = lambda *inputs: tf.cast(upstream * slope(*inputs), logits.dtype)  # noqa: E731
      return tf.ensure_shape(over_images(scaled, logits.dtype, kept), logits.shape)

    return tf.reduce_sum(over_images(summed, tf.float32, logits)), gradient

  return weighted_sum(logits)


def huber_loss(predictions: tf.Tensor, targets: tf.Tensor, weights: tf.Tensor, delta: float) -> tf.Tensor:
  """Computes the sum over anchors of the weighted Huber loss, averaged over the four coordinates.

  Args:
    predictions: `[batch, anchors, 4]`.
    targets: `[batch, anchors, 4]`.
    weights: `[batch, anchors]`.
    delta: where the loss turns from quadratic to linear.

  Returns:
    Scalar float32.
  """
  error = tf.abs(tf.cast(predictions, tf.float32) - tf.cast(targets, tf.float32))
  bounded = tf.minimum(error, delta)
  loss = bounded * (error - 0.5 * bounded)
  return tf.reduce_sum(tf.reduce_mean(loss, axis=-1) * weights)


def detection_losses(
  cls_outputs: Mapping[str, tf.Tensor],
  box_outputs: Mapping[str, tf.Tensor],
  labels: Mapping[str, tf.Tensor],
  num_classes: int,
  focal_alpha: float,
  focal_gamma: float,
  huber_delta: float,
  by_image: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Computes classification and box loss of a replica's batch, each divided by its positive anchors plus one.

  The levels are summed one by one, so the large class logits are never copied into one tensor.

  Args:
    cls_outputs: `{level: [batch, height_l, width_l, anchors * num_classes]}`.
    box_outputs: `{level: [batch, height_l, width_l, anchors * 4]}`.
    labels: `cls_targets` `{level: [batch, height_l, width_l, anchors]}`, `box_targets` `{level: [batch, height_l,
      width_l, anchors * 4]}`, `cls_weights` and `box_weights` `[batch, all anchors]`, finest level first.
    num_classes: background included.
    focal_alpha: see `focal_loss`.
    focal_gamma: see `focal_loss`.
    huber_delta: see `huber_loss`.
    by_image: see `focal_loss`.

  Returns:
    Scalars `(cls_loss, box_loss)`.
  """
  cls_weights = tf.cast(labels['cls_weights'], tf.float32)
  box_weights = tf.cast(labels['box_weights'], tf.float32)
  levels = sorted(cls_outputs, key=int)
  sizes = [_anchors_at(labels['box_targets'][level]) for level in levels]
  cls_weights_of = tf.split(cls_weights, sizes, axis=1)
  box_weights_of = tf.split(box_weights, sizes, axis=1)
  cls_losses, box_losses = [], []
  for i, level in enumerate(levels):
    logits = tf.reshape(cls_outputs[level], [-1, sizes[i], num_classes])
    classes = tf.reshape(labels['cls_targets'][level], [-1, sizes[i]])
    cls_losses.append(focal_loss(logits, classes, cls_weights_of[i], focal_alpha, focal_gamma, by_image))
    boxes = tf.reshape(box_outputs[level], [-1, sizes[i], 4])
    targets = tf.reshape(labels['box_targets'][level], [-1, sizes[i], 4])
    box_losses.append(huber_loss(boxes, targets, box_weights_of[i], huber_delta))
  num_positives = tf.reduce_sum(box_weights) + 1.0
  return tf.add_n(cls_losses) / num_positives, tf.add_n(box_losses) / num_positives


def _anchors_at(box_targets: tf.Tensor) -> int:
  """Returns the anchors per location of a level, from its box targets `[batch, height_l, width_l, anchors * 4]`."""
  _, height, width, depth = box_targets.shape
  return height * width * depth // 4
