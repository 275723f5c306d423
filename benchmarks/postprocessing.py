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

"""Compares post-processing of raw head outputs with Model Garden's 'v2' (its default) and 'batched'.

python -m benchmarks.postprocessing --image_size=640 --num_classes=91 --runs=20

'batched' is `tf.image.combined_non_max_suppression`. The outputs are as of a trained detector: objects light up the
anchors around them, and about one (anchor, class) pair in a hundred is over the threshold. The detections of all sides
must have the same AP to within 0.05 points.
"""

import numpy as np
import tensorflow as tf
from absl import app, flags
from official.vision.modeling.layers import detection_generator
from official.vision.ops import anchor, box_ops

from benchmarks import side_by_side, synthetic_images
from nasfpn_tf.modeling import postprocess
from nasfpn_tf.training import evaluation

_IMAGE_SIZE = flags.DEFINE_integer('image_size', 640, 'Side of the images.')
_NUM_CLASSES = flags.DEFINE_integer('num_classes', 91, 'Classes, background included.')
_NUM_OBJECTS = flags.DEFINE_integer('num_objects', 8, 'Objects in an image.')
_BATCH = flags.DEFINE_integer('batch', 1, 'Images in a call.')
_NUM_IMAGES = flags.DEFINE_integer('num_images', 8, 'Number of images on which AP is compared.')
_RUNS = flags.DEFINE_integer('runs', 20, "Number of timed calls; a fifth of it for 'v2'.")
_PEERS = flags.DEFINE_list('peers', ['batched', 'v2'], "Model Garden's nms_version.")

_TO_REACH = {'batched': 0.5, 'v2': 0.05}
_OUTPUTS = ('detection_boxes', 'detection_scores', 'detection_classes', 'num_detections')
_ANCHORS_PER_LOCATION = 9
_TOLERANCE = 0.0005  # Of AP, 0 to 1.


def raw_outputs(rng, anchors, num_classes, objects):
  """Makes (class logits, encoded boxes) by level of an image; also returns how many pairs exceed 0.05.

  Logits are those of the best trained: N(-6, 1.3) where nothing is, and up to 3 for the class of an object, by overlap.
  """
  flat = np.concatenate([boxes.reshape(-1, 4) for boxes in anchors.values()])
  logits = rng.normal(-6.0, 1.3, [len(flat), num_classes]).astype(np.float32)
  codes = rng.normal(0.0, 0.2, [len(flat), 4]).astype(np.float32)
  overlap = _iou(flat, objects['boxes'])
  nearest = overlap.argmax(axis=1)
  near = np.flatnonzero(overlap.max(axis=1) > 0.4)
  logits[near, objects['classes'][nearest[near]]] = 10 * overlap[near, nearest[near]] - 6 + rng.normal(0, 1, len(near))
  exact = box_ops.encode_boxes(tf.constant(objects['boxes'][nearest[near]]), tf.constant(flat[near])).numpy()
  codes[near] = exact + rng.normal(0, 0.1, exact.shape)
  sizes = [boxes.shape[0] * boxes.shape[1] * _ANCHORS_PER_LOCATION for boxes in anchors.values()]
  split = np.cumsum(sizes)[:-1]
  by_level = [
    {
      level: part.reshape(1, *boxes.shape[:2], -1)
      for (level, boxes), part in zip(anchors.items(), np.split(values, split), strict=True)
    }
    for values in (logits, codes)
  ]
  return *by_level, np.mean(logits[:, 1:] > np.log(0.05 / 0.95))


def _iou(anchors, boxes):
  top, bottom = np.maximum(anchors[:, None, :2], boxes[:, :2]), np.minimum(anchors[:, None, 2:], boxes[:, 2:])
  common = np.prod(np.maximum(bottom - top, 0), axis=-1)
  areas = [np.prod(x[:, 2:] - x[:, :2], axis=-1) for x in (anchors, boxes)]
  return common / (areas[0][:, None] + areas[1] - common)


def average_precision(detect, batches, objects, num_classes):
  """Computes the AP of `detect` on all images."""
  truth = {'images': [], 'annotations': [], 'categories': [{'id': i, 'name': str(i)} for i in range(1, num_classes)]}
  for i, of_image in enumerate(objects):
    truth['images'].append({'id': i + 1})
    for (y, x, bottom, right), category in zip(of_image['boxes'].tolist(), of_image['classes'].tolist(), strict=True):
      box = {'image_id': i + 1, 'category_id': category, 'bbox': [x, y, right - x, bottom - y]}
      truth['annotations'].append(box)
  evaluator = evaluation.CocoEvaluator(truth, per_category=False)
  for i, batch in enumerate(batches):
    found = {key: value.numpy()[:1] for key, value in detect(*batch).items()}
    evaluator.add([i + 1], None, *(found[key] for key in _OUTPUTS))
  return evaluator.evaluate()['AP']


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  size, num_classes = _IMAGE_SIZE.value, _NUM_CLASSES.value
  anchors = anchor.Anchor(3, 7, 3, [0.5, 1.0, 2.0], 4.0, (size, size)).multilevel_boxes
  anchors = {level: boxes.numpy() for level, boxes in anchors.items()}
  rng = np.random.default_rng(0)
  objects, batches, over = [], [], []
  for _ in range(_NUM_IMAGES.value):
    boxes = np.float32(synthetic_images.random_boxes(rng, _NUM_OBJECTS.value, size, size))
    objects.append({'boxes': boxes, 'classes': rng.integers(1, num_classes, len(boxes))})
    logits, codes, share = raw_outputs(rng, anchors, num_classes, objects[-1])
    batches.append([tf.nest.map_structure(lambda x: tf.repeat(x, _BATCH.value, axis=0), x) for x in (codes, logits)])
    over.append(share)
  all_anchors = {level: tf.repeat(boxes[tf.newaxis], _BATCH.value, axis=0) for level, boxes in anchors.items()}
  image_shape = tf.fill([_BATCH.value, 2], float(size))

  def side(layer):
    @tf.function
    def detect(codes, logits):
      outputs = layer(codes, logits, all_anchors, image_shape)
      return {key: outputs[key] for key in _OUTPUTS}

    return detect

  sides = {'ours': side(postprocess.DetectionGenerator())}
  for name in _PEERS.value:
    sides[name] = side(detection_generator.MultilevelDetectionGenerator(nms_version=name))
  aps = {name: average_precision(detect, batches, objects, num_classes) for name, detect in sides.items()}
  print(f'{sum(b.size for b in anchors.values()) // 4} anchors, {num_classes} classes, {np.mean(over):.2%} over 0.05')
  print('AP: ' + ', '.join(f'{name} {ap:.4f}' for name, ap in aps.items()))
  for name, ap in aps.items():
    side_by_side.require(abs(ap - aps['ours']) <= _TOLERANCE, f'AP {aps["ours"]:.4f} of ours, {ap:.4f} of {name}.')

  def call(name):
    return lambda: sides[name](*batches[0])['num_detections'].numpy()

  for name in _PEERS.value:
    runs = max(1, _RUNS.value // 5) if name == 'v2' else _RUNS.value
    samples = side_by_side.interleave({'ours': call('ours'), name: call(name)}, runs)
    side_by_side.report(samples, _TO_REACH)


if __name__ == '__main__':
  app.run(main)
