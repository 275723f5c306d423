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

"""Asks a SavedModel behind TensorFlow Serving's REST format from many threads for minutes, and watches its memory.

python -m tests.reliability.load --clients=8 --seconds=600
python -m tests.reliability.load --model=exported/1 --clients=8 --seconds=600

Without --model it first writes records of images from 40 x 30 to 4000 x 3000 pixels with 500 boxes of 1000 classes in
each, trains a small detector on them for two steps, evaluates it and exports it with 500 detections an image. The
server is a process of its own. It is asked for images of the same sizes; each answer must be the first one for that
image. Prints requests, errors, latencies and the server's memory; fails with an error, another answer, or memory that
grows. Traffic stays on the loopback interface.
"""

import argparse
import base64
import dataclasses
import http.client
import io
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence

import numpy as np
from PIL import Image

from tests import testing

SIZES = ((40, 30), (64, 300), (320, 240), (640, 480), (1280, 720), (4000, 3000))
MOST_GROWTH = 0.05  # Of the memory between the second and the last quarter; TensorFlow's pools settle in the first.
_NAME, _PATH = 'detector', '/v1/models/detector:predict'


@dataclasses.dataclass
class Result:
  """What a run of `ask` has seen.

  Attributes:
    milliseconds: of each answer.
    errors: what went wrong; a wrong answer, too.
    memory: of the server in MB, ten times a second.
  """

  milliseconds: list[float] = dataclasses.field(default_factory=list)
  errors: list[str] = dataclasses.field(default_factory=list)
  memory: list[float] = dataclasses.field(default_factory=list)

  @property
  def growth(self) -> float:
    """Median memory of the last quarter over that of the second, minus 1."""
    quarter = len(self.memory) // 4
    return float(np.median(self.memory[-quarter:]) / np.median(self.memory[quarter : 2 * quarter]) - 1)


def make(directory: pathlib.Path, num_classes: int = 1000, num_boxes: int = 500) -> str:
  """Trains a detector of many classes on images of mixed sizes with many boxes; returns the directory of its export."""
  from nasfpn_tf.artifacts import layout
  from nasfpn_tf.export import saved_model, source
  from nasfpn_tf.training import trainer
  from tests.training import rectangles

  prefix = _records(directory, num_classes, num_boxes)
  parser = {'max_num_instances': num_boxes}
  nms = {'max_num_detections': num_boxes, 'pre_nms_top_k': 4 * num_boxes, 'pre_nms_score_threshold': 0.0}
  params = rectangles.experiment(
    prefix,
    task={
      'model': {
        'num_classes': num_classes + 1,
        'decoder': {'feature_pyramid': {'topology': 'fpn'}},
        'detection_generator': nms,
      },
      'train_data': {'parser': parser},
      'validation_data': {'parser': parser},
    },
    trainer={'train_steps': 2, 'validation_interval': 2},
  )
  metrics = trainer.run(params, 'train_and_eval', str(directory / 'run'))
  assert np.isfinite(metrics['AP']), metrics
  saved_model.export_saved_model(source.load(str(directory / 'run')), str(directory / 'exported'))
  return layout.latest_version(str(directory / 'exported'))


def _records(directory: pathlib.Path, num_classes: int, num_boxes: int) -> str:
  """Writes records of one image of each of `SIZES`; returns their prefix."""
  from nasfpn_tf.data.records import tfrecord

  rng = np.random.default_rng(0)
  categories = [{'id': k, 'name': f'class {k}'} for k in range(1, num_classes + 1)]
  coco = {'images': [], 'annotations': [], 'categories': categories}
  (directory / 'images').mkdir(parents=True)
  for number, size in enumerate(SIZES, 1):
    (directory / 'images' / f'{number}.jpg').write_bytes(_jpeg(size))
    coco['images'].append({'id': number, 'file_name': f'{number}.jpg', 'width': size[0], 'height': size[1]})
    sides = rng.uniform(0.05, 0.5, [num_boxes, 2]) * size
    corners = rng.uniform(0, 1, [num_boxes, 2]) * (size - sides)
    for corner, side in zip(corners, sides, strict=True):
      index = len(coco['annotations'])
      box = [float(value) for value in (*corner, *side)]
      coco['annotations'].append(
        {
          'id': index + 1,
          'image_id': number,
          'category_id': 1 + index % num_classes,
          'bbox': box,
          'area': box[2] * box[3],
          'iscrowd': 0,
        }
      )
  tfrecord.write_tfrecords(coco, directory / 'images', directory / 'set', num_shards=2, progress=False)
  return str(directory / 'set')


def run(model: str, clients: int, seconds: float, sizes: Sequence[tuple[int, int]] = SIZES) -> Result:
  """Starts the server of a SavedModel and asks it from `clients` threads for `seconds`."""
  command = [sys.executable, '-m', 'tests.reliability.load', '--serve', f'--model={model}']
  with subprocess.Popen(command, cwd=testing.repo_root(), stdout=subprocess.PIPE, text=True) as server:
    try:
      address = server.stdout.readline().strip()
      assert address, 'the server did not start'
      return _ask(address, server.pid, [_body(size) for size in sizes], clients, seconds)
    finally:
      server.terminate()


def _jpeg(size: tuple[int, int]) -> bytes:
  rng = np.random.default_rng(size[0])
  small = rng.integers(0, 255, (max(2, size[1] // 8), max(2, size[0] // 8), 3), np.uint8)
  file = io.BytesIO()
  Image.fromarray(small).resize(size).save(file, 'JPEG')
  return file.getvalue()


def _body(size: tuple[int, int]) -> bytes:
  return json.dumps({'instances': [{'b64': base64.b64encode(_jpeg(size)).decode()}]}).encode()


def _ask(address: str, pid: int, bodies: Sequence[bytes], clients: int, seconds: float) -> Result:
  expected = [_answer(http.client.HTTPConnection(address, timeout=120), body) for body in bodies]
  result, end = Result(), time.monotonic() + seconds

  def client(index: int) -> None:
    connection, number = http.client.HTTPConnection(address, timeout=120), index
    while time.monotonic() < end and not result.errors:
      number += 1
      started = time.monotonic()
      try:
        found = _answer(connection, bodies[number % len(bodies)])
      except (OSError, http.client.HTTPException, ValueError) as error:
        result.errors.append(f'{type(error).__name__}: {error}')
        return
      result.milliseconds.append(1000 * (time.monotonic() - started))
      if not _is_same(expected[number % len(bodies)], found):
        result.errors.append(f'image {number % len(bodies)}: another answer than at first')

  threads = [threading.Thread(target=client, args=[index]) for index in range(clients)]
  for thread in threads:
    thread.start()
  while any(thread.is_alive() for thread in threads):
    result.memory.append(_memory(pid))
    time.sleep(0.1)
  return result


def _answer(connection: http.client.HTTPConnection, body: bytes) -> dict[str, list]:
  connection.request('POST', _PATH, body)
  response = connection.getresponse()
  content = json.loads(response.read())
  if response.status != 200:
    raise ValueError(content['error'])
  (row,) = content['predictions']
  return row


def _is_same(one: dict[str, list], other: dict[str, list]) -> bool:
  """Scores and boxes are those of the same arithmetic: threads split sums in their own ways."""
  return one.keys() == other.keys() and all(
    np.allclose(one[key], other[key], rtol=0, atol=1e-3 if 'scores' in key else 0.1) for key in one
  )


def _memory(pid: int) -> float:
  for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
    if line.startswith('VmRSS:'):
      return int(line.split()[1]) / 1e3
  raise ValueError(f'process {pid} has ended')


def _serve(model: str) -> None:
  from tests.export import rest_service

  with rest_service.serving(_NAME, model) as address:
    print(address, flush=True)
    threading.Event().wait()


def main(argv: Sequence[str]) -> int:
  """Prints what `run` finds; 1 with an error or where memory grows."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--model', help='directory of a SavedModel with encoded images as its input; default: see above')
  parser.add_argument('--clients', type=int, default=8)
  parser.add_argument('--seconds', type=float, default=600)
  parser.add_argument('--serve', action='store_true', help='be the server')
  options = parser.parse_args(argv)
  if options.serve:
    _serve(options.model)
    return 0
  with tempfile.TemporaryDirectory(prefix='load_') as made:
    model = options.model or make(pathlib.Path(made))
    result = run(model, options.clients, options.seconds)
  p50, p99 = np.percentile(result.milliseconds, [50, 99])
  print(f'{len(result.milliseconds)} answers, {len(result.errors)} errors, p50 {p50:.0f} ms, p99 {p99:.0f} ms')
  print(f'memory {result.memory[0]:.0f} to {max(result.memory):.0f} MB, growth {100 * result.growth:.1f} %')
  print(*result.errors[:5], sep='\n')
  return int(bool(result.errors) or result.growth > MOST_GROWTH)


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
