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

"""Compares COCO evaluation of a whole split with pycocotools, from arrays of detections to the twelve metrics.

python -m benchmarks.coco_evaluation --num_images=5000 --detections=60 --runs=3

All twelve metrics must be identical.
"""

import contextlib
import io

import numpy as np
from absl import app, flags
from pycocotools import coco, cocoeval

from benchmarks import side_by_side, synthetic_images
from nasfpn_tf.training import evaluation

_NUM_IMAGES = flags.DEFINE_integer('num_images', 5000, 'Number of images; COCO val2017 has 5000.')
_NUM_CLASSES = flags.DEFINE_integer('num_classes', 80, 'Categories.')
_DETECTIONS = flags.DEFINE_integer('detections', 60, 'Detections in an image.')
_RUNS = flags.DEFINE_integer('runs', 3, 'Number of timed evaluations per side.', lower_bound=1)

_TO_REACH = 0.15
_SIDE = 500


def data_set(rng, num_images, num_classes, num_detections):
  """Makes (COCO annotations, batches of detections for `CocoEvaluator.add`); about half of them hit an object."""
  truth = {
    'images': [{'id': i + 1, 'height': _SIDE, 'width': _SIDE} for i in range(num_images)],
    'annotations': [],
    'categories': [{'id': i + 1, 'name': str(i)} for i in range(num_classes)],
  }
  batches = []
  for i in range(num_images):
    boxes = np.array(synthetic_images.random_boxes(rng, rng.integers(1, 15), _SIDE, _SIDE))
    classes = rng.choice(rng.permutation(num_classes)[:4], len(boxes)) + 1
    for (y, x, bottom, right), category in zip(boxes.tolist(), classes.tolist(), strict=True):
      truth['annotations'].append(
        {
          'id': len(truth['annotations']) + 1,
          'image_id': i + 1,
          'category_id': category,
          'bbox': [x, y, right - x, bottom - y],
          'area': (right - x) * (bottom - y),
          'iscrowd': int(rng.random() < 0.01),
        }
      )
    source = rng.integers(len(boxes), size=num_detections)
    found = boxes[source] + rng.normal(0, 0.1, [num_detections, 4]) * np.tile(boxes[source, 2:] - boxes[source, :2], 2)
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2] + 1)
    is_right = rng.random(num_detections) < 0.6
    labels = np.where(is_right, classes[source], rng.integers(1, num_classes + 1, num_detections))
    scores = rng.uniform(0, 1, num_detections) * np.where(is_right, 1.0, 0.5)
    # Half precision: ties occur, as they do in reality.
    scores = scores.astype(np.float16).astype(np.float32)
    batches.append(([i + 1], None, found[np.newaxis].astype(np.float32), scores[np.newaxis], labels[np.newaxis]))
  return truth, batches


def ours(truth, batches):
  """Computes the twelve metrics by our evaluator."""
  evaluator = evaluation.CocoEvaluator(truth, per_category=False)
  for batch in batches:
    evaluator.add(*batch)
  return list(evaluator.evaluate().values())


def pycocotools(truth, batches):
  """Computes the twelve metrics by pycocotools, which also takes detections as rows of an array."""
  rows = []
  for (image_id,), _, boxes, scores, labels in batches:
    boxes = boxes[0]  # Sides in their precision, as ours takes them.
    sides = np.concatenate([boxes[:, 1::-1], (boxes[:, 2:] - boxes[:, :2])[:, ::-1]], axis=1)
    rows.append(np.column_stack([np.full(len(boxes), image_id), sides, scores[0], labels[0]]))
  with contextlib.redirect_stdout(io.StringIO()):
    ground_truth = coco.COCO()
    ground_truth.dataset = truth
    ground_truth.createIndex()
    evaluator = cocoeval.COCOeval(ground_truth, ground_truth.loadRes(np.concatenate(rows)), 'bbox')
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
  return evaluator.stats.tolist()


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  truth, batches = data_set(np.random.default_rng(0), _NUM_IMAGES.value, _NUM_CLASSES.value, _DETECTIONS.value)
  results = {}

  def side(evaluate):
    def run():
      results[evaluate] = evaluate(truth, batches)

    return run

  sides = {'ours': side(ours), 'pycocotools': side(pycocotools)}
  samples = side_by_side.interleave(sides, _RUNS.value, warm_up=0)
  print(f'{_NUM_IMAGES.value} images, {_NUM_IMAGES.value * _DETECTIONS.value} detections, AP {results[ours][0]:.4f}')
  # Sums of thousands of numbers in another order differ in the last of 16 digits.
  is_same = np.allclose(results[ours], results[pycocotools], rtol=0.0, atol=1e-12)
  side_by_side.require(is_same, f'{results[ours]} and {results[pycocotools]}.')
  side_by_side.report(samples, {'pycocotools': _TO_REACH})


if __name__ == '__main__':
  app.run(main)
