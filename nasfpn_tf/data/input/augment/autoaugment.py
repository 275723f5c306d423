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

"""Implements AutoAugment for detection (arXiv 1906.11172): the learned policies v0 to v3."""

import dataclasses
from typing import ClassVar

import tensorflow as tf
from official.vision.ops import augment

from nasfpn_tf.data.input.augment import distortion
from nasfpn_tf.data.input.augment.operation import Operation, register

# Sub-policies of (operation, probability, magnitude of 10), as in the authors' code (tensorflow/tpu,
# models/official/detection/utils/autoaugment_utils.py). v0 is that of the paper's results.
_V0 = (
  (('TranslateX_BBox', 0.6, 4), ('Equalize', 0.8, 10)),
  (('TranslateY_Only_BBoxes', 0.2, 2), ('Cutout', 0.8, 8)),
  (('Sharpness', 0.0, 8), ('ShearX_BBox', 0.4, 0)),
  (('ShearY_BBox', 1.0, 2), ('TranslateY_Only_BBoxes', 0.6, 6)),
  (('Rotate_BBox', 0.6, 10), ('Color', 1.0, 6)),
)
POLICIES = {
  'v0': _V0,
  'v1': (
    *_V0,
    (('Color', 0.0, 0), ('ShearX_Only_BBoxes', 0.8, 4)),
    (('ShearY_Only_BBoxes', 0.8, 2), ('Flip_Only_BBoxes', 0.0, 10)),
    (('Equalize', 0.6, 10), ('TranslateX_BBox', 0.2, 2)),
    (('Color', 1.0, 10), ('TranslateY_Only_BBoxes', 0.4, 6)),
    (('Rotate_BBox', 0.8, 10), ('Contrast', 0.0, 10)),
    (('Cutout', 0.2, 2), ('Brightness', 0.8, 10)),
    (('Color', 1.0, 6), ('Equalize', 1.0, 2)),
    (('Cutout_Only_BBoxes', 0.4, 6), ('TranslateY_Only_BBoxes', 0.8, 2)),
    (('Color', 0.2, 8), ('Rotate_BBox', 0.8, 10)),
    (('Sharpness', 0.4, 4), ('TranslateY_Only_BBoxes', 0.0, 4)),
    (('Sharpness', 1.0, 4), ('SolarizeAdd', 0.4, 4)),
    (('Rotate_BBox', 1.0, 8), ('Sharpness', 0.2, 8)),
    (('ShearY_BBox', 0.6, 10), ('Equalize_Only_BBoxes', 0.6, 8)),
    (('ShearX_BBox', 0.2, 6), ('TranslateY_Only_BBoxes', 0.2, 10)),
    (('SolarizeAdd', 0.6, 8), ('Brightness', 0.8, 10)),
  ),
  'v2': (
    (('Color', 0.0, 6), ('Cutout', 0.6, 8), ('Sharpness', 0.4, 8)),
    (('Rotate_BBox', 0.4, 8), ('Sharpness', 0.4, 2), ('Rotate_BBox', 0.8, 10)),
    (('TranslateY_BBox', 1.0, 8), ('AutoContrast', 0.8, 2)),
    (('AutoContrast', 0.4, 6), ('ShearX_BBox', 0.8, 8), ('Brightness', 0.0, 10)),
    (('SolarizeAdd', 0.2, 6), ('Contrast', 0.0, 10), ('AutoContrast', 0.6, 0)),
    (('Cutout', 0.2, 0), ('Solarize', 0.8, 8), ('Color', 1.0, 4)),
    (('TranslateY_BBox', 0.0, 4), ('Equalize', 0.6, 8), ('Solarize', 0.0, 10)),
    (('TranslateY_BBox', 0.2, 2), ('ShearY_BBox', 0.8, 8), ('Rotate_BBox', 0.8, 8)),
    (('Cutout', 0.8, 8), ('Brightness', 0.8, 8), ('Cutout', 0.2, 2)),
    (('Color', 0.8, 4), ('TranslateY_BBox', 1.0, 6), ('Rotate_BBox', 0.6, 6)),
    (('Rotate_BBox', 0.6, 10), ('BBox_Cutout', 1.0, 4), ('Cutout', 0.2, 8)),
    (('Rotate_BBox', 0.0, 0), ('Equalize', 0.6, 6), ('ShearY_BBox', 0.6, 8)),
    (('Brightness', 0.8, 8), ('AutoContrast', 0.4, 2), ('Brightness', 0.2, 2)),
    (('TranslateY_BBox', 0.4, 8), ('Solarize', 0.4, 6), ('SolarizeAdd', 0.2, 10)),
    (('Contrast', 1.0, 10), ('SolarizeAdd', 0.2, 8), ('Equalize', 0.2, 4)),
  ),
  'v3': (
    (('Posterize', 0.8, 2), ('TranslateX_BBox', 1.0, 8)),
    (('BBox_Cutout', 0.2, 10), ('Sharpness', 1.0, 8)),
    (('Rotate_BBox', 0.6, 8), ('Rotate_BBox', 0.8, 10)),
    (('Equalize', 0.8, 10), ('AutoContrast', 0.2, 10)),
    (('SolarizeAdd', 0.2, 2), ('TranslateY_BBox', 0.2, 8)),
    (('Sharpness', 0.0, 2), ('Color', 0.4, 8)),
    (('Equalize', 1.0, 8), ('TranslateY_BBox', 1.0, 8)),
    (('Posterize', 0.6, 2), ('Rotate_BBox', 0.0, 10)),
    (('AutoContrast', 0.6, 0), ('Rotate_BBox', 1.0, 6)),
    (('Equalize', 0.0, 4), ('Cutout', 0.8, 10)),
    (('Brightness', 1.0, 2), ('TranslateY_BBox', 1.0, 6)),
    (('Contrast', 0.0, 2), ('ShearY_BBox', 0.8, 0)),
    (('AutoContrast', 0.8, 10), ('Contrast', 0.2, 10)),
    (('Rotate_BBox', 1.0, 10), ('Cutout', 1.0, 10)),
    (('SolarizeAdd', 0.8, 6), ('Equalize', 0.8, 8)),
  ),
}

# Box-only operations are this much rarer than the policy says, and of these sizes, in the authors' code.
_BOX_ONLY_RARITY = 3.0
_BOX_TRANSLATE, _BOX_CUTOUT = 120.0, 50.0
_MAX_CUTOUT_OF_BOX = 0.75


@register
@dataclasses.dataclass(frozen=True)
class AutoAugment(Operation):
  """Applies one sub-policy of a policy, drawn at random, to an image and its boxes (`aug_type`).

  Attributes:
    policy: a key of `POLICIES`.
    cutout_const: half the side of the greatest cutout in pixels.
    translate_const: the greatest shift in pixels.
  """

  name: ClassVar[str] = 'autoaugment'
  before_scaling: ClassVar[bool] = True
  shares_seed: ClassVar[bool] = True

  policy: str = 'v0'
  cutout_const: float = 100.0
  translate_const: float = 250.0

  def __post_init__(self):
    if self.policy not in POLICIES:
      raise ValueError(f'AutoAugment policy {self.policy!r} is unknown; known are {", ".join(POLICIES)}.')

  def __call__(self, image: tf.Tensor, boxes: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Distorts one image; see `Operation`."""
    seed = tf.random.experimental.stateless_fold_in(seed, 1)
    policy = POLICIES[self.policy]
    choice = tf.random.stateless_uniform([], seed, maxval=len(policy), dtype=tf.int32)
    branches = [lambda operations=operations: self._apply_all(image, boxes, seed, operations) for operations in policy]
    image_out, boxes = tf.switch_case(choice, branches)
    return tf.ensure_shape(image_out, image.shape), tf.ensure_shape(boxes, [None, 4])

  def _apply_all(self, image, boxes, seed, operations):
    for i, (name, probability, magnitude) in enumerate(operations):
      own_seed = tf.random.experimental.stateless_fold_in(seed, i + 1)
      if name.endswith('_Only_BBoxes'):
        image = self._within_boxes(name, probability / _BOX_ONLY_RARITY, magnitude / 10, image, boxes, own_seed)
      else:
        draws = tf.random.stateless_uniform([5], own_seed)
        image, boxes = tf.cond(
          draws[0] < probability,
          lambda a=(name, magnitude / 10, image, boxes, draws[1:]): self._apply(*a),
          lambda image=image, boxes=boxes: (image, boxes),
        )
    return image, boxes

  def _apply(self, name, strength, image, boxes, draws):
    """Applies one operation; `strength` and the draws are in 0..1."""
    sign = tf.where(draws[0] < 0.5, -1.0, 1.0)
    if name in ('TranslateX_BBox', 'TranslateY_BBox'):
      return distortion.translate(image, boxes, sign * strength * self.translate_const, int('X' in name))
    if name in ('ShearX_BBox', 'ShearY_BBox'):
      return distortion.shear(image, boxes, sign * strength * 0.3, int('X' in name))
    if name == 'Rotate_BBox':
      return distortion.rotate(image, boxes, sign * strength * 30.0)
    if name == 'Cutout':
      half = int(strength * self.cutout_const)
      return distortion.cutout(image, draws[1:3], tf.constant([half, half])), boxes
    if name == 'BBox_Cutout':
      return self._cut_one_box(strength, image, boxes, draws), boxes
    if name == 'Equalize':
      return augment.equalize(image), boxes
    if name == 'AutoContrast':
      return augment.autocontrast(image), boxes
    if name == 'Posterize':
      return augment.posterize(image, int(strength * 4)), boxes
    if name == 'Solarize':
      return augment.solarize(image, int(strength * 256)), boxes
    if name == 'SolarizeAdd':
      return augment.solarize_add(image, int(strength * 110)), boxes
    enhance = {
      'Color': augment.color,
      'Contrast': augment.contrast,
      'Brightness': augment.brightness,
      'Sharpness': augment.sharpness,
    }[name]
    return enhance(image, strength * 1.8 + 0.1), boxes

  def _cut_one_box(self, strength, image, boxes, draws):
    num_boxes = tf.shape(boxes)[0]

    def cut():
      box = boxes[tf.cast(draws[3] * tf.cast(num_boxes, tf.float32), tf.int32)]
      return distortion.cutout_in_box(image, box, draws[1:3], strength * _MAX_CUTOUT_OF_BOX)

    return tf.cond(num_boxes > 0, cut, lambda: image)

  def _within_boxes(self, name, probability, strength, image, boxes, seed):
    # The sign is one for all boxes, as in the authors' code.
    sign = tf.where(tf.random.stateless_uniform([], seed) < 0.5, -1.0, 1.0)
    draws = tf.random.stateless_uniform([tf.shape(boxes)[0], 3], tf.random.experimental.stateless_fold_in(seed, 1))
    distort = {
      'TranslateY': lambda contents, i: distortion.shift_rows(contents, sign * strength * _BOX_TRANSLATE),
      'ShearX': lambda contents, i: distortion.slant(contents, sign * strength * 0.3, 1),
      'ShearY': lambda contents, i: distortion.slant(contents, sign * strength * 0.3, 0),
      'Equalize': lambda contents, i: augment.equalize(contents),
      'Flip': lambda contents, i: contents[:, ::-1],
      'Cutout': lambda contents, i: distortion.cutout(
        contents, draws[i, 1:], tf.fill([2], int(strength * _BOX_CUTOUT))
      ),
    }[name.removesuffix('_Only_BBoxes')]
    return distortion.within_boxes(image, boxes, draws[:, 0] < probability, distort)
