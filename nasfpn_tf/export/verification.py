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

"""Compares exported files with the Keras model before they are published."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras

from nasfpn_tf.artifacts import signatures
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.export import module
from nasfpn_tf.export.source import Source
from nasfpn_tf.modeling import postprocess

TOLERANCE = 1e-3  # Of raw outputs (box encodings, logits or scores), absolute, between float32 runtimes.
# Relative to outputs beyond 100, where float32 has no more digits. Networks give them that have hardly been trained:
# the statistics of their batch norms are not their own yet.
_RELATIVE_TOLERANCE = 1e-5


class VerificationError(ValueError):
  """An export disagrees with its model."""


@dataclasses.dataclass(frozen=True)
class Tolerances:
  """How far the detections of an export may be from the model's.

  Attributes:
    score: difference of two scores of the same object.
    iou: least overlap of two boxes of the same object.
    unmatched: share of the detections of either side that may have no counterpart.
    raw: mean error of raw outputs in standard deviations of these; None: see `Reference.raw_tolerance`.
  """

  score: float = TOLERANCE
  iou: float = 0.99
  unmatched: float = 0.0
  raw: float | None = None


FLOAT32_TOLERANCES = Tolerances()
# bfloat16 keeps 8 bits: after some fifty layers logits are 0.1 to 0.2 of their deviation away in the mean and single
# scores 0.1, about as much above as below. Detections are those of another rounding, not worse ones; how much AP that
# costs, only AP on records tells.
BFLOAT16_TOLERANCES = Tolerances(score=0.15, iou=0.8, unmatched=0.34, raw=0.34)
_BFLOAT16_STEP = 2.0**-8


@dataclasses.dataclass(frozen=True)
class Reference:
  """Outputs of the Keras model for some images.

  Attributes:
    images: the images, uint8 [height, width, 3] each.
    inputs: the letterboxed images, float32 [n, input height, input width, 3], 0 to 255, mean color in the padding.
    image_info: float32 [n, 4, 2], how they were letterboxed, see `preprocess.geometry`.
    box_encodings: float32 [n, num_anchors, 4].
    class_logits: float32 [n, num_anchors, num_classes - 1], without background.
    detections: one dictionary an image: boxes [k, 4] (yxyx in the image's pixels), scores [k], classes [k].
    score_threshold: of the model's post-processing.
    max_detections: of the model's post-processing.
    tolerances: of the export that is compared.
  """

  images: Sequence[np.ndarray]
  inputs: np.ndarray
  image_info: np.ndarray
  box_encodings: np.ndarray
  class_logits: np.ndarray
  detections: Sequence[Mapping[str, np.ndarray]]
  score_threshold: float
  max_detections: int
  tolerances: Tolerances = FLOAT32_TOLERANCES

  @property
  def raw_tolerance(self) -> float:
    """Tolerance of `box_encodings` and `class_logits`."""
    largest = max(float(np.abs(outputs).max(initial=0.0)) for outputs in (self.box_encodings, self.class_logits))
    return max(TOLERANCE, _RELATIVE_TOLERANCE * largest)

  def rounded(self) -> 'Reference':
    """Returns the same outputs with the tolerances of an export that computes in bfloat16."""
    return dataclasses.replace(self, tolerances=BFLOAT16_TOLERANCES)

  @property
  def class_scores(self) -> np.ndarray:
    """The sigmoid of the logits."""
    return tf.sigmoid(self.class_logits).numpy()


def reference(source: Source, images: Sequence[np.ndarray] = ()) -> Reference:
  """Runs the Keras model on images (uint8 [height, width, 3] each), one by one; without any, on two photographs."""
  model, input_size = source.model, source.input_size
  check_finite(model, source.origin)
  images = list(images) or sample_images()
  options = model.detection_generator.get_config()
  anchors = module.anchor_boxes(model, input_size)
  rows = []
  for image in images:
    pixels, image_info = preprocess.letterbox(tf.constant(image), input_size, source.keep_aspect_ratio)
    outputs = model(pixels[tf.newaxis], image_shape=image_info[tf.newaxis, 1], training=False)
    logits, encodings, _ = postprocess.flatten_levels(outputs['cls_outputs'], outputs['box_outputs'], anchors)
    found = signatures.detections_of(module.detections_in_image(outputs, image_info[tf.newaxis]))
    rows.append((to_pixels(pixels).numpy(), image_info.numpy(), encodings[0].numpy(), logits[0].numpy(), found))
  inputs, image_info, encodings, logits, detections = zip(*rows, strict=True)
  return Reference(
    images=tuple(images),
    inputs=np.stack(inputs),
    image_info=np.stack(image_info),
    box_encodings=np.stack(encodings),
    class_logits=np.stack(logits),
    detections=detections,
    score_threshold=float(options.get('pre_nms_score_threshold') or 0.0),
    max_detections=int(options.get('max_num_detections') or 100),
  )


def to_pixels(images: tf.Tensor) -> tf.Tensor:
  """Undoes `preprocess.normalize`: 0 to 255 again, the zeros of the padding become the mean color."""
  return images * tf.constant(preprocess.STDDEV) + tf.constant(preprocess.MEAN)


def check_finite(model: tf_keras.Model, origin: str = 'The model') -> None:
  """Raises a VerificationError that names the weights that are NaN or infinite, and where they are from."""
  bad = [v.name for v in model.variables if v.dtype.is_floating and not np.isfinite(v.numpy()).all()]
  if bad:
    names = ', '.join(bad[:3]) + (f' and {len(bad) - 3} more' if len(bad) > 3 else '')
    raise VerificationError(
      f'{origin}: {len(bad)} weights are NaN or infinite ({names}): the training diverged, use an earlier checkpoint.'
    )


def max_error(expected: np.ndarray, actual: np.ndarray) -> float:
  """Returns the largest absolute difference, NaN if either side has one; VerificationError if the shapes differ."""
  if expected.shape != actual.shape:
    raise VerificationError(f'The export gives shape {list(actual.shape)}, the model {list(expected.shape)}.')
  return float(np.max(np.abs(expected.astype(np.float64) - actual), initial=0.0))


def check_errors(errors: Mapping[str, float], tolerance: float, what: str) -> None:
  """Raises a VerificationError that names the outputs of `what` whose error is NaN or above `tolerance`."""
  bad = [f'{name} by {error:.3g}' for name, error in errors.items() if not error <= tolerance]
  if bad:
    raise VerificationError(f'{what} differs from the Keras model: {", ".join(bad)}; tolerated is {tolerance:g}.')


def check_rounded(expected: np.ndarray, actual: np.ndarray, name: str, tolerance: float) -> None:
  """Makes sure that raw outputs in bfloat16 are, in the mean, near those in float32.

  Args:
    expected: in float32.
    actual: of the export.
    name: of the output, for the message.
    tolerance: in standard deviations of `expected`; a step of bfloat16 at its largest value is accepted anyway.

  Raises:
    VerificationError: they are not, or not finite.
  """
  error = float(np.mean(np.abs(expected.astype(np.float64) - actual)))
  limit = max(tolerance * float(expected.std()), _BFLOAT16_STEP * float(np.abs(expected).max(initial=0.0)), TOLERANCE)
  if not error <= limit:
    raise VerificationError(
      f'{name} in bfloat16 is {error:.3g} away from float32 in the mean, tolerated is {limit:.3g}: this network needs'
      ' float32.'
    )


def check_detections(expected: Reference, row: int, actual: Mapping[str, np.ndarray], what: str) -> None:
  """Raises a VerificationError if the detections of `what` in an image are not the model's; see `count_unmatched`."""
  wanted = expected.detections[row]
  limits = expected.tolerances
  full = len(wanted['scores']) >= expected.max_detections
  # Where the list is full, what follows the last one was cut off, too.
  floor = max(expected.score_threshold, float(wanted['scores'].min())) if full else expected.score_threshold
  unmatched = count_unmatched(wanted, actual, floor, limits.score, limits.iou)
  if unmatched > math.ceil(limits.unmatched * (len(wanted['scores']) + len(actual['scores']))):
    raise VerificationError(
      f'{what} and the Keras model disagree in {unmatched} of {len(wanted["scores"])} detections in image {row + 1}.'
    )


def count_unmatched(
  expected: Mapping[str, np.ndarray],
  actual: Mapping[str, np.ndarray],
  floor: float,
  tolerance: float = TOLERANCE,
  iou: float = FLOAT32_TOLERANCES.iou,
) -> int:
  """Counts the detections of an image that have no counterpart on the other side.

  Two detections are the same if they agree in class, their scores differ by no more than `tolerance` and their boxes
  overlap by an IoU of `iou`. Those whose score is within `tolerance` of `floor` may be on one side only: rounding
  decides.

  Args:
    expected: `boxes` [k, 4], `scores` [k] and `classes` [k].
    actual: the same of the export.
    floor: score at which detections are cut off.
    tolerance: of the scores.
    iou: least overlap of the boxes.
  """
  same = (
    (expected['classes'][:, None] == actual['classes'])
    & (np.abs(expected['scores'][:, None] - actual['scores']) <= tolerance)
    & (_iou(expected['boxes'], actual['boxes']) >= iou)
  )
  lacking = (expected['scores'] > floor + tolerance) & ~same.any(axis=1)
  extra = (actual['scores'] > floor + tolerance) & ~same.any(axis=0)
  return int(lacking.sum() + extra.sum())


def _iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
  """Computes the IoU [n, m] of boxes [n, 4] and [m, 4], yxyx; two equal boxes without area overlap fully."""
  corner = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
  shared = np.prod(np.maximum(corner, 0.0), axis=-1)
  area_a, area_b = (np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) for boxes in (a, b))
  union = area_a[:, None] + area_b - shared
  equal = np.abs(a[:, None] - b[None]).max(axis=-1, initial=0.0) < 1e-2
  return np.where(equal, 1.0, shared / np.maximum(union, 1e-9))


def sample_images() -> list[np.ndarray]:
  """Returns two photographs (uint8, 427 x 640) from scikit-learn, for exports without images."""
  from sklearn import datasets

  return list(datasets.load_sample_images().images)
