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

"""Runs one model in its own process: python -m nasfpn_tf.frontier.worker REQUEST.json RESULT.json

Only what the format needs is loaded, so that what the process takes is the model's. The request has `benchmark`
('module:function' that measures), `predictor`, `runtime`, `path`, `exit_stage`, `checkpoint`, `threads`, `runs` and
`image`, a .npy file. The function gets the request and the image, uint8 [height, width, 3], and returns `latency_ms`,
`input_size`, `params`, `multiply_adds`, `peak_memory_bytes` and, where it knows them, `parts_ms`. The result is that
and `runtime`, or `error`.
"""

import json
import sys
from importlib import metadata

import numpy as np

from nasfpn_tf import whole_file
from nasfpn_tf.artifacts import formats


def main(request_path: str, result_path: str) -> None:
  """Measures what a file asks for and writes the result to another."""
  with open(request_path, encoding='utf-8') as file:
    request = json.load(file)
  try:
    measure = formats.load(request['benchmark'])
    result = {'parts_ms': {}, **measure(request, np.load(request['image']))}
    result['latency_ms'] = vars(result['latency_ms'])
    result['runtime'] = f'{request["runtime"]} {metadata.version(request["runtime"])}'
  except (ValueError, OSError, RuntimeError) as error:
    result = {'error': ' '.join(str(error).split())}
  with whole_file.naming(result_path), open(result_path, 'w', encoding='utf-8') as file:
    json.dump(result, file)


if __name__ == '__main__':
  main(*sys.argv[1:])
