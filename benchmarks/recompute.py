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

"""Measures peak memory and time of a training step with and without recomputation in the backward pass.

python -m benchmarks.recompute                                  # a small detector
python -m benchmarks.recompute --model_id=50 --num_repeats=7 --num_filters=256 --num_classes=91 --image_size=640

Each side is a process of its own: forward, losses, gradients and an SGD step with momentum on synthetic labels. Prints
the peak resident memory of each process, the median time of a step by the clock and by the processor, and the ratios;
both sides must have the same losses, step by step.
"""

import statistics

from absl import app, flags

from benchmarks import side_by_side, synthetic_step

_MODEL_ID = flags.DEFINE_integer('model_id', 18, 'Depth of the ResNet.')
_NUM_REPEATS = flags.DEFINE_integer('num_repeats', 3, 'Pyramids (N).')
_NUM_FILTERS = flags.DEFINE_integer('num_filters', 64, 'Number of filters of pyramid and head (D).')
_NUM_CLASSES = flags.DEFINE_integer('num_classes', 4, 'Classes, background included.')
_IMAGE_SIZE = flags.DEFINE_integer('image_size', 256, 'Side of the square images, a multiple of 128.')
_BATCH = flags.DEFINE_integer('batch', 4, 'Images in a step.')
_STEPS = flags.DEFINE_integer('steps', 3, 'Number of timed steps per process, after one warm-up step.', lower_bound=1)
_PAIRS = flags.DEFINE_integer('pairs', 1, 'Processes of each side.', lower_bound=1)
_PARTS = flags.DEFINE_list('parts', ['backbone', 'pyramid', 'head'], 'What is recomputed.')
_SIDE = flags.DEFINE_string('side', '', 'Set internally in the measuring processes: what this one recomputes.')

_MEMORY_TO_REACH, _TIME_TO_REACH = 0.45, 1.35


def model_config(parts):
  """Returns the detector's configuration with the given parts recomputed."""
  return {
    'num_classes': _NUM_CLASSES.value,
    'input_size': [_IMAGE_SIZE.value, _IMAGE_SIZE.value, 3],
    'backbone': {'type': 'resnet', 'resnet': {'model_id': _MODEL_ID.value}},
    'decoder': {
      'feature_pyramid': {
        'num_repeats': _NUM_REPEATS.value,
        'num_filters': _NUM_FILTERS.value,
        'recompute': 'pyramid' in parts,
      }
    },
    'recompute_backbone': 'backbone' in parts,
    'recompute_head': 'head' in parts,
  }


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  if _SIDE.value:
    config = model_config(_SIDE.value.split('+'))
    side_by_side.hand_back(synthetic_step.measure(config, _BATCH.value, _STEPS.value))
    return
  sides = {'none': [], '+'.join(_PARTS.value): []}
  for pair in range(_PAIRS.value):
    for side in sorted(sides, reverse=bool(pair % 2)):
      sides[side].append(side_by_side.run_side('benchmarks.recompute', side))
  plain, recomputed = (results[0]['losses'] for results in sides.values())
  is_same = all(abs(a - b) <= 1e-3 * abs(a) for a, b in zip(plain, recomputed, strict=True))
  side_by_side.require(is_same, f'losses {plain} and {recomputed}.')
  print(side_by_side.machine())
  print('| recomputed | peak MiB | of it when built | step, ms | cpu ms |\n|---|---|---|---|---|')
  peaks, times = [], {'wall_ms': [], 'cpu_ms': []}
  for side, results in sides.items():
    peaks.append(statistics.median(result['peak'] for result in results))
    built = statistics.median(result['built'] for result in results)
    cells = [peaks[-1] / 2**20, built / 2**20]
    for clock, of_sides in times.items():
      of_sides.append([ms for result in results for ms in result[clock]])
      cells.append(statistics.median(of_sides[-1]))
    print(f'| {side} | ' + ' | '.join(f'{cell:.0f}' for cell in cells) + ' |')
  time, by_cpu = (side_by_side.ratio(recomputed, plain) for plain, recomputed in times.values())
  print(
    f'peak memory {peaks[1] / peaks[0]:.2f} (to reach <= {_MEMORY_TO_REACH}), '
    f'time {time:.2f}, by cpu {by_cpu:.2f} (to reach <= {_TIME_TO_REACH})'
  )


if __name__ == '__main__':
  app.run(main)
