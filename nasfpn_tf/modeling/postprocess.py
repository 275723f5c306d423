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

"""Computes detections from raw head outputs: selects candidates, decodes them, applies NMS.

Model Garden decodes every anchor and suppresses class by class (`nms_version` 'v1' and 'v2') or hands all anchors of
all classes to one fused op ('batched'). Here the best `pre_nms_top_k` (anchor, class) pairs of an image are selected
first, only these are decoded, and one NMS sees them all, with the classes laid out apart so that boxes of
different classes never overlap. Another difference: boxes that have no area once they are clipped to the image are
dropped, which Model Garden keeps.
"""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras

from nasfpn_tf.modeling import candidates

NMS_VERSIONS = ('class_offset', 'class_offset_xla')


def flatten_levels(
  cls_outputs: Mapping[str, tf.Tensor], box_outputs: Mapping[str, tf.Tensor], anchor_boxes: Mapping[str, tf.Tensor]
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
  """Joins the levels, finest first, and drops the background class.

  Args:
    cls_outputs: {level: logits [batch, height_l, width_l, anchors_per_location * num_classes]}, background is class 0.
    box_outputs: {level: encoded boxes [batch, height_l, width_l, anchors_per_location * 4]}.
    anchor_boxes: {level: anchors yxyx in pixels of the network input, of the shape of the encoded boxes, with or
      without the batch dimension}.

  Returns:
    float32 logits [batch, num_anchors, num_classes - 1], encoded boxes [batch, num_anchors, 4], and anchors
    [batch or 1, num_anchors, 4].
  """
  return candidates.flatten(cls_outputs, box_outputs, anchor_boxes)


def decode_raw(
  cls_outputs: Mapping[str, tf.Tensor],
  box_outputs: Mapping[str, tf.Tensor],
  anchor_boxes: Mapping[str, tf.Tensor],
  image_shape: tf.Tensor | None = None,
  box_coder_weights: Sequence[float] | None = None,
  box_coder_plus_one: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
  """Decodes boxes and scores of every anchor, without NMS.

  Args:
    cls_outputs: as in `flatten_levels`.
    box_outputs: as in `flatten_levels`.
    anchor_boxes: as in `flatten_levels`.
    image_shape: [batch, 2], height and width that boxes are clipped to; None leaves them as they are.
    box_coder_weights: four weights of the box coder, None for ones.
    box_coder_plus_one: as in `candidates.decode`.

  Returns:
    Boxes [batch, num_anchors, 4], yxyx in pixels of the network input, and scores [batch, num_anchors,
    num_classes - 1], without the background.
  """
  logits, boxes, anchors = flatten_levels(cls_outputs, box_outputs, anchor_boxes)
  boxes = candidates.decode(boxes, anchors, image_shape, box_coder_weights, box_coder_plus_one)
  return boxes, tf.sigmoid(logits)


def generate_detections(
  cls_outputs: Mapping[str, tf.Tensor],
  box_outputs: Mapping[str, tf.Tensor],
  anchor_boxes: Mapping[str, tf.Tensor],
  image_shape: tf.Tensor | None = None,
  *,
  pre_nms_top_k: int = 1000,
  pre_nms_score_threshold: float = 0.05,
  nms_iou_threshold: float = 0.5,
  max_num_detections: int = 100,
  soft_nms_sigma: float | None = None,
  use_class_agnostic_nms: bool = False,
  box_coder_weights: Sequence[float] | None = None,
  box_coder_plus_one: bool = False,
  pre_nms_per_class: bool = False,
  pre_nms_per_level: bool = False,
  xla: bool = False,
) -> dict[str, tf.Tensor]:
  """Computes the detections of a batch from raw outputs of the heads, also those of a SavedModel or a .tflite.

  Args:
    cls_outputs: as in `flatten_levels`.
    box_outputs: as in `flatten_levels`.
    anchor_boxes: as in `flatten_levels`.
    image_shape: [batch, 2], height and width that boxes are clipped to; None leaves them as they are.
    pre_nms_top_k: how many (anchor, class) pairs of an image are decoded and suppressed.
    pre_nms_score_threshold: pairs with a score of this or less are dropped.
    nms_iou_threshold: a box that overlaps a better one of its class by more is dropped.
    max_num_detections: detections kept of an image.
    soft_nms_sigma: sigma of Gaussian soft-NMS (arXiv 1704.04503), not with `xla`; None or 0 for the plain one.
    use_class_agnostic_nms: whether NMS acts across classes.
    box_coder_weights: four weights of the box coder, None for ones.
    box_coder_plus_one: as in `candidates.decode`.
    pre_nms_per_class: whether the best `pre_nms_top_k` anchors of every class are suppressed instead.
    pre_nms_per_level: whether the best `pre_nms_top_k` pairs of every level are suppressed instead.
    xla: use the NMS that XLA compiles (static shapes, no custom call); slower on a CPU.

  Returns:
    'detection_boxes' [batch, max_num_detections, 4] yxyx in pixels of the network input, 'detection_scores' and
    'detection_classes' [batch, max_num_detections] (int32, from 1), best first, zeros after 'num_detections' [batch].
  """
  select = candidates.selection(pre_nms_per_class, pre_nms_per_level)
  logits, classes, boxes, anchors = select(cls_outputs, box_outputs, anchor_boxes, pre_nms_top_k)
  scores = tf.sigmoid(logits)
  num_classes = candidates.num_classes(cls_outputs, box_outputs) - 1
  boxes = candidates.decode(boxes, anchors, image_shape, box_coder_weights, box_coder_plus_one)
  has_area = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1)  # None outside the image, once it is clipped.
  scores = tf.where(has_area, scores, -1.0)  # Below any threshold.
  apart = boxes if use_class_agnostic_nms else _lay_out_by_class(boxes, classes, num_classes)

  if xla:
    kept, num_detections = tf.image.non_max_suppression_padded(
      apart,
      scores,
      max_num_detections,
      iou_threshold=nms_iou_threshold,
      score_threshold=pre_nms_score_threshold,
      pad_to_max_output_size=True,
      sorted_input=True,
    )
    kept_scores = tf.gather(scores, kept, batch_dims=1)
  else:

    def suppress(image):
      kept, kept_scores, num_valid = tf.raw_ops.NonMaxSuppressionV5(
        boxes=image[0],
        scores=image[1],
        max_output_size=max_num_detections,
        iou_threshold=nms_iou_threshold,
        score_threshold=pre_nms_score_threshold,
        soft_nms_sigma=soft_nms_sigma or 0.0,
        pad_to_max_output_size=True,
      )
      return tf.ensure_shape(kept, [max_num_detections]), tf.ensure_shape(kept_scores, [max_num_detections]), num_valid

    kept, kept_scores, num_detections = tf.map_fn(
      suppress, (apart, scores), fn_output_signature=(tf.int32, tf.float32, tf.int32)
    )
  valid = tf.range(max_num_detections)[tf.newaxis] < num_detections[:, tf.newaxis]
  return {
    'detection_boxes': tf.where(valid[..., tf.newaxis], tf.gather(boxes, kept, batch_dims=1), 0.0),
    'detection_scores': tf.where(valid, kept_scores, 0.0),
    'detection_classes': tf.where(valid, tf.gather(classes, kept, batch_dims=1) + 1, 0),
    'num_detections': num_detections,
  }


class DetectionGenerator(tf_keras.layers.Layer):
  """Post-processing as a layer, called as Model Garden's `MultilevelDetectionGenerator` is.

  Args:
    apply_nms: whether to apply NMS; otherwise the call returns every anchor's box and scores.
    pre_nms_top_k: how many (anchor, class) pairs of an image are decoded and suppressed.
    pre_nms_score_threshold: pairs with a score of this or less are dropped.
    nms_iou_threshold: a box that overlaps a better one of its class by more is dropped.
    max_num_detections: detections kept of an image.
    nms_version: 'class_offset', or 'class_offset_xla' for what XLA can compile (TPU).
    use_cpu_nms: place everything on the host's CPU.
    soft_nms_sigma: sigma of Gaussian soft-NMS; None or 0 for the plain one.
    return_decoded: also return every anchor's box and scores.
    use_class_agnostic_nms: whether NMS acts across classes.
    box_coder_weights: four weights of the box coder, None for ones.
    box_coder_plus_one: as in `candidates.decode`.
    pre_nms_per_class: whether the best `pre_nms_top_k` anchors of every class are suppressed instead.
    pre_nms_per_level: whether the best `pre_nms_top_k` pairs of every level are suppressed instead.

  Raises:
    ValueError: if `nms_version` is not one of `NMS_VERSIONS`, or has no soft-NMS, or candidates are wanted both by
      class and by level.
  """

  def __init__(
    self,
    apply_nms: bool = True,
    pre_nms_top_k: int = 1000,
    pre_nms_score_threshold: float = 0.05,
    nms_iou_threshold: float = 0.5,
    max_num_detections: int = 100,
    nms_version: str = 'class_offset',
    use_cpu_nms: bool = False,
    soft_nms_sigma: float | None = None,
    return_decoded: bool | None = None,
    use_class_agnostic_nms: bool | None = None,
    box_coder_weights: Sequence[float] | None = None,
    box_coder_plus_one: bool = False,
    pre_nms_per_class: bool = False,
    pre_nms_per_level: bool = False,
    **kwargs,
  ):
    # Scores and boxes are float32 under any precision policy: bfloat16 has 8 bits, a coordinate needs 11.
    super().__init__(**{'dtype': 'float32', 'autocast': False, **kwargs})
    if nms_version not in NMS_VERSIONS:
      raise ValueError(f'nms_version {nms_version!r} is not one of {", ".join(NMS_VERSIONS)}.')
    if soft_nms_sigma and nms_version != 'class_offset':
      raise ValueError(f"soft_nms_sigma needs nms_version 'class_offset' or Model Garden's 'v1', not {nms_version!r}.")
    candidates.selection(pre_nms_per_class, pre_nms_per_level)
    self._apply_nms = apply_nms
    self._nms_version = nms_version
    self._use_cpu_nms = use_cpu_nms
    self._return_decoded = return_decoded
    self._box_coder = {'box_coder_weights': box_coder_weights, 'box_coder_plus_one': box_coder_plus_one}
    self._options = {
      'pre_nms_top_k': pre_nms_top_k,
      'pre_nms_score_threshold': pre_nms_score_threshold,
      'nms_iou_threshold': nms_iou_threshold,
      'max_num_detections': max_num_detections,
      'soft_nms_sigma': soft_nms_sigma,
      'use_class_agnostic_nms': use_class_agnostic_nms,
      'pre_nms_per_class': pre_nms_per_class,
      'pre_nms_per_level': pre_nms_per_level,
    }

  def call(
    self,
    raw_boxes: Mapping[str, tf.Tensor],
    raw_scores: Mapping[str, tf.Tensor],
    anchor_boxes: Mapping[str, tf.Tensor],
    image_shape: tf.Tensor | None = None,
    raw_attributes: Mapping[str, Any] | None = None,
  ) -> dict[str, tf.Tensor]:
    """Computes the detections of a batch.

    Args:
      raw_boxes: {level: encoded boxes [batch, height_l, width_l, anchors_per_location * 4]}.
      raw_scores: {level: logits [batch, height_l, width_l, anchors_per_location * num_classes]}.
      anchor_boxes: {level: anchors, of the shape of `raw_boxes`}.
      image_shape: [batch, 2], height and width that boxes are clipped to; None leaves them as they are.
      raw_attributes: attribute heads are left to Model Garden's 'v1'.

    Returns:
      As `generate_detections`; with `return_decoded`, or instead without `apply_nms`, 'decoded_boxes' [batch,
      num_anchors, 1, 4] and 'decoded_box_scores' [batch, num_anchors, num_classes - 1].

    Raises:
      ValueError: if there are attributes.
    """
    if raw_attributes:
      raise ValueError("attribute heads need Model Garden's NMS: set detection_generator.nms_version to 'v1'.")
    outputs = {}
    with tf.device('cpu:0') if self._use_cpu_nms else contextlib.nullcontext():
      if self._return_decoded or not self._apply_nms:
        boxes, scores = decode_raw(raw_scores, raw_boxes, anchor_boxes, image_shape, **self._box_coder)
        outputs.update(decoded_boxes=boxes[:, :, tf.newaxis], decoded_box_scores=scores)
      if self._apply_nms:
        outputs.update(
          generate_detections(
            raw_scores,
            raw_boxes,
            anchor_boxes,
            image_shape,
            xla=self._nms_version == 'class_offset_xla',
            **self._box_coder,
            **self._options,
          )
        )
    return outputs

  def get_config(self) -> dict[str, Any]:
    return {
      **super().get_config(),
      'apply_nms': self._apply_nms,
      'nms_version': self._nms_version,
      'use_cpu_nms': self._use_cpu_nms,
      'return_decoded': self._return_decoded,
      **self._box_coder,
      **self._options,
    }


def _lay_out_by_class(boxes, classes, num_classes):
  """Moves boxes so that no two of different classes overlap.

  Classes get the tiles of a square grid. In a row the last of 90 classes would lie 90 images away, and float32 would
  round its corners to 1/100 pixel; in the grid it lies 10 away.

  Args:
    boxes: [batch, num, 4].
    classes: [batch, num], int32 from 0.
    num_classes: how many there are.

  Returns:
    [batch, num, 4].
  """
  side = 1
  while side * side < num_classes:
    side += 1
  tile = tf.reduce_max(boxes, axis=[1, 2]) - tf.reduce_min(boxes, axis=[1, 2]) + 1.0
  cell = tf.cast(tf.stack([classes // side, classes % side], axis=-1), boxes.dtype)
  return boxes + tf.tile(cell * tile[:, tf.newaxis, tf.newaxis], [1, 1, 2])
