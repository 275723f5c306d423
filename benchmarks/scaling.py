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

"""Measures how time and memory grow with one dimension, and compares them with the prediction from multiply-adds.

python -m benchmarks.scaling --along=repeats --output=repeats.svg       # N: 1 to 7
python -m benchmarks.scaling --along=filters                            # D
python -m benchmarks.scaling --along=image_size
python -m benchmarks.scaling --along=classes                            # 3, 91, 1000
python -m benchmarks.scaling --along=boxes                              # labels of an image with 5 to 500 boxes
python -m benchmarks.scaling --along=evaluated                          # memory of evaluation by number of images

Each point is a process of its own. For the network: a training step on synthetic labels beside the multiply-adds of its
forward pass; for the labels: the assignment beside the number of boxes; for evaluation: memory above the start beside
the bytes of the detections kept.
"""

import statistics

import numpy as np
from absl import app, flags

from benchmarks import side_by_side, synthetic_step

_POINTS = {
  'repeats': [1, 2, 3, 4, 5, 6, 7],
  'filters': [32, 64, 128, 256, 384],
  'image_size': [128, 256, 384, 512, 640],
  'classes': [3, 91, 1000],
  'boxes': [5, 20, 100, 500],
  'evaluated': [500, 1000, 2000, 5000],
}
_ALONG = flags.DEFINE_enum('along', 'repeats', list(_POINTS), 'What grows.')
_VALUES = flags.DEFINE_list('values', [], 'Points to measure; empty: the default ones.')
_MODEL_ID = flags.DEFINE_integer('model_id', 18, 'Depth of the ResNet.')
_NUM_REPEATS = flags.DEFINE_integer('num_repeats', 3, 'Pyramids (N).')
_NUM_FILTERS = flags.DEFINE_integer('num_filters', 128, 'Number of filters of pyramid and head (D).')
_NUM_CLASSES = flags.DEFINE_integer('num_classes', 91, 'Classes, background included.')
_IMAGE_SIZE = flags.DEFINE_integer('image_size', 256, 'Side of the square images, a multiple of 128.')
_BATCH = flags.DEFINE_integer('batch', 2, 'Images in a step.')
_RUNS = flags.DEFINE_integer('runs', 5, 'Number of timed calls per point.', lower_bound=1)
_OUTPUT = flags.DEFINE_string('output', '', 'Plot to write: .svg or .png.')
_SIDE = flags.DEFINE_string('side', '', 'Set internally in the measuring processes: the point.')

_DETECTIONS = 100  # Of an evaluated image.


def _network(value):
  from nasfpn_tf.modeling import cost

  sizes = {
    'repeats': _NUM_REPEATS.value,
    'filters': _NUM_FILTERS.value,
    'image_size': _IMAGE_SIZE.value,
    'classes': _NUM_CLASSES.value,
    _ALONG.value: value,
  }
  model_config = {
    'num_classes': sizes['classes'],
    'input_size': [sizes['image_size'], sizes['image_size'], 3],
    'backbone': {'type': 'resnet', 'resnet': {'model_id': _MODEL_ID.value}},
    'decoder': {'feature_pyramid': {'num_repeats': sizes['repeats'], 'num_filters': sizes['filters']}},
  }
  model, step = synthetic_step.build(model_config, _BATCH.value)
  predicted = cost.count_multiply_adds(model, model_config['input_size']) / 1e9
  samples = side_by_side.interleave({'': step}, _RUNS.value, warm_up=2)['']
  return {'predicted': predicted, 'ms': list(samples.wall_ms), 'mib': side_by_side.peak_bytes() / 2**20}


def _labels(value):
  import tensorflow as tf

  from benchmarks import synthetic_images
  from nasfpn_tf.data.input.labels import AnchorLabeler

  size = _IMAGE_SIZE.value
  label = tf.function(AnchorLabeler((size, size)).__call__)
  boxes = tf.constant(synthetic_images.random_boxes(np.random.default_rng(0), value, size, size))
  classes = tf.ones([value], tf.int64)
  call = lambda: label(boxes, classes)['box_weights'].numpy()  # noqa: E731
  samples = side_by_side.interleave({'': call}, _RUNS.value, warm_up=2)['']
  return {'predicted': value, 'ms': list(samples.wall_ms), 'mib': side_by_side.peak_bytes() / 2**20}


def _evaluated(value):
  from nasfpn_tf.training import evaluation

  box = {'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 9, 9]}
  truth = {'images': [{'id': i} for i in range(1, value + 1)], 'annotations': [box], 'categories': [{'id': 1}]}
  evaluator = evaluation.CocoEvaluator(truth)
  rng = np.random.default_rng(0)
  before = side_by_side.peak_bytes()

  def add(number):
    boxes = rng.uniform(0, 99, [1, _DETECTIONS, 4]).astype(np.float32)
    evaluator.add([number], None, boxes, boxes[..., 0], np.ones([1, _DETECTIONS], np.int64))

  numbers = iter(range(1, value + 1))
  samples = side_by_side.interleave({'': lambda: add(next(numbers))}, value, warm_up=0)['']
  kept = 32 * _DETECTIONS * value / 2**20
  grown = (side_by_side.peak_bytes() - before) / 2**20
  return {'predicted': kept, 'ms': list(samples.wall_ms), 'mib': grown}


def plot(path, rows, along, of_what, of_memory):
  """Draws time and memory, measured, and what is predicted, scaled to meet the time at the last point."""
  from nasfpn_tf.report import charts

  values, predicted, times, memory = zip(*rows, strict=True)
  chart = charts.Chart(2, 720, 280)
  left, right = chart.axes
  with charts.style():
    left.plot(values, times, marker='o', label='time, measured')
    # Growth between the first point and the last: fixed costs are no part of the arithmetic.
    slope = (times[-1] - times[0]) / ((predicted[-1] - predicted[0]) or 1)
    expected = [times[0] + slope * (p - predicted[0]) for p in predicted]
    left.plot(values, expected, color=charts.SOFT, linestyle='--', label=f'time by {of_what}')
    right.plot(values, memory, marker='o', color=charts.SERIES[2], label='memory, measured')
    for axes, name in ((left, 'ms'), (right, of_memory)):
      axes.set(xlabel=along, ylabel=name)
      axes.margins(0.04, 0)
      axes.xaxis.set_major_formatter(charts.tick)
      axes.yaxis.set_major_formatter(charts.tick)
  charts.round_limits(left.yaxis, 0, 1.02 * max(*times, *expected))
  charts.round_limits(right.yaxis, 0, 1.02 * max(memory))
  chart.legend()
  chart.save(path)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  along = _ALONG.value
  measure = {'boxes': _labels, 'evaluated': _evaluated}.get(along, _network)
  if _SIDE.value:
    side_by_side.hand_back(measure(int(_SIDE.value)))
    return
  of_what = {'boxes': 'boxes', 'evaluated': 'MiB of detections'}.get(along, 'G multiply-adds, forward')
  of_memory = 'MiB grown' if along == 'evaluated' else 'peak MiB'
  print(side_by_side.machine())
  print(f'| {along} | {of_what} | median ms | {of_memory} |\n|---|---|---|---|')
  rows = []
  for value in map(int, _VALUES.value or _POINTS[along]):
    point = side_by_side.run_side('benchmarks.scaling', str(value))
    rows.append((value, point['predicted'], statistics.median(point['ms']), point['mib']))
    print(f'| {value} | {rows[-1][1]:.2f} | {rows[-1][2]:.2f} | {rows[-1][3]:.0f} |', flush=True)
  if _OUTPUT.value:
    plot(_OUTPUT.value, rows, along, of_what, of_memory)


if __name__ == '__main__':
  app.run(main)
