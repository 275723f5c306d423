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

"""Compares an int8 .tflite with the float one of the same detector: latency by number of threads, and AP.

python -m benchmarks.tflite_int8 --float=runs/float.tflite --int8=runs/int8.tflite --input_path='records/bccd_test-*'

The files are what export_tflite.py writes. AP is that of all images of the records; int8 may lose one point.
"""

import numpy as np
from absl import app, flags
from ai_edge_litert.interpreter import Interpreter

from benchmarks import side_by_side

_FLOAT = flags.DEFINE_string('float', None, 'File with --quant_type=none.', required=True)
_INT8 = flags.DEFINE_string('int8', None, 'File with --quant_type=int8.', required=True)
_INPUT_PATH = flags.DEFINE_string('input_path', '', 'Records of create_tfrecord.py on which AP is compared.')
_THREADS = flags.DEFINE_list('threads', ['1', '2'], 'Numbers of threads.')
_RUNS = flags.DEFINE_integer('runs', 30, 'Number of timed calls per side.', lower_bound=1)

_TO_REACH = 0.5
_MOST_LOST = 0.01  # Of AP, 0 to 1.


def caller(path, num_threads):
  """Returns a function that runs the file on one image of noise."""
  runner = Interpreter(path, num_threads=num_threads).get_signature_runner()
  detail = runner.get_input_details()['inputs']
  image = np.random.default_rng(0).uniform(0, 255, detail['shape']).astype(detail['dtype'])
  return lambda: runner(inputs=image)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  paths = {'int8': _INT8.value, 'float': _FLOAT.value}
  for threads in map(int, _THREADS.value):
    samples = side_by_side.interleave({name: caller(path, threads) for name, path in paths.items()}, _RUNS.value, 3)
    print(f'{threads} threads')
    side_by_side.report(samples, {'float': _TO_REACH})
  if _INPUT_PATH.value:
    from nasfpn_tf.predict import evaluation, predictor

    aps = {
      name: evaluation.evaluate_records(predictor.load_predictor(path), _INPUT_PATH.value)['AP']
      for name, path in paths.items()
    }
    print(f'AP: int8 {aps["int8"]:.4f}, float {aps["float"]:.4f}')
    side_by_side.require(aps['float'] - aps['int8'] <= _MOST_LOST, 'int8 loses more than a point of AP.')


if __name__ == '__main__':
  app.run(main)
