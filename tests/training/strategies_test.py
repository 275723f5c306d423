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

"""Distributed runs in processes of their own: two logical CPUs, and two workers that talk over loopback."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import pytest
import tensorflow as tf
from official.core import config_definitions as cfg

from nasfpn_tf.training import artifacts, checkpoints, strategy, trainer
from tests import commands, patience, testing
from tests.training import rectangles

NUM_IMAGES = 5  # With batches of 4 on two replicas: 2 + 2, then 1 + 0.


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
  return rectangles.write(tmp_path_factory.mktemp('records'), num_images=NUM_IMAGES, num_shards=2)


def start(request, log: pathlib.Path, **environment) -> subprocess.Popen:
  """Starts a worker; its output goes to `log`."""
  with open(log, 'w') as file:
    return subprocess.Popen(
      [sys.executable, '-m', 'tests.training.worker', json.dumps(request)],
      cwd=testing.repo_root(),
      env={**os.environ, **environment},
      stdout=file,
      stderr=subprocess.STDOUT,
    )


def wait_for(condition, workers: list[tuple[subprocess.Popen, pathlib.Path]]) -> None:
  """Waits as long as the workers work; ends them and shows their output where they do not get there."""
  processes = [process for process, _ in workers]
  try:
    patience.until(condition, processes)
  except TimeoutError as error:
    for process in processes:
      process.kill()
    raise AssertionError(f'{error}\n' + '\n'.join(log.read_text()[-3000:] for _, log in workers)) from error


def results_of(workers: list[tuple[subprocess.Popen, pathlib.Path]]) -> list[dict]:
  """Waits for workers and returns what each printed."""
  wait_for(lambda: all(process.poll() is not None for process, _ in workers), workers)
  return [printed(process.returncode, log.read_text()) for process, log in workers]


def printed(code: int, text: str) -> dict:
  """The result of a worker that has ended with exit code `code` and wrote `text`."""
  assert code == 0, text[-3000:]
  line = next(line for line in text.splitlines() if line.startswith('RESULT '))
  return json.loads(line.removeprefix('RESULT '))


def same_metrics(a, b):
  """COCO's metrics are equal; validation losses are means over batches, which differ."""
  for name in trainer.COCO_METRICS:
    assert a[name] == pytest.approx(b[name], abs=1e-3), name


def test_two_logical_cpus(prefix, tmp_path):
  model_dir = tmp_path / 'model'
  schedule = {'train_steps': 30, 'steps_per_loop': 10, 'summary_interval': 10, 'validation_interval': 30}
  rate = {'optimizer_config': {'learning_rate': {'type': 'constant', 'constant': {'learning_rate': 0.01}}}}
  request = {
    'prefix': prefix,
    'model_dir': str(model_dir),
    'num_cpus': 2,
    'task': {
      'train_data': {'global_batch_size': 4},
      'validation_data': {'global_batch_size': 4},
      'model': {
        'decoder': {
          'feature_pyramid': {
            'topology': 'fpn',
            'dropblock_keep_prob': 0.98,
            'dropblock_ramp_steps': 60,
            'recompute': True,
          }
        }
      },
    },
    'trainer': schedule | rate,
  }
  done = commands.run(str(testing.repo_root() / 'tests' / 'training' / 'worker.py'), json.dumps(request))
  mirrored = printed(done.returncode, done.stdout + done.stderr)
  assert mirrored['strategy'] == 'MirroredStrategy' and mirrored['num_replicas'] == 2
  assert len(mirrored['replicas']) == 2 and len(set(mirrored['replicas'])) == 1
  assert mirrored['keep_prob'] == pytest.approx(0.99), 'DropBlock is half way down its ramp after 30 of 60 steps'
  assert f'({NUM_IMAGES} images' in done.stdout + done.stderr
  losses = [line['total_loss'] for line in artifacts.read_history(str(model_dir / 'train_history.jsonl'))]
  assert losses[-1] < losses[0]
  # One device evaluates that checkpoint to the same: no image was left out or counted twice.
  model = {'decoder': {'feature_pyramid': {'topology': 'fpn'}}}
  experiment = rectangles.experiment(prefix, trainer=schedule, task={'model': model})
  alone = trainer.run(experiment, 'eval', str(model_dir), strategy=tf.distribute.OneDeviceStrategy('CPU:0'))
  assert alone['AP50'] > 0
  same_metrics(alone, mirrored['metrics'])


def free_ports(number: int) -> list[int]:
  sockets = [socket.socket() for _ in range(number)]
  for s in sockets:
    s.bind(('127.0.0.1', 0))
  ports = [s.getsockname()[1] for s in sockets]
  for s in sockets:
    s.close()
  return ports


def start_workers(request, tmp_path, name) -> list[tuple[subprocess.Popen, pathlib.Path]]:
  """Two workers of one cluster."""
  addresses = [f'127.0.0.1:{port}' for port in free_ports(2)]
  workers = []
  for index in range(2):
    config = {'cluster': {'worker': addresses}, 'task': {'type': 'worker', 'index': index}}
    log = tmp_path / f'{name}_{index}.log'
    workers.append((start(request, log, TF_CONFIG=json.dumps(config)), log))
  return workers


def multi_worker_request(prefix, model_dir, steps):
  return {
    'prefix': prefix,
    'model_dir': str(model_dir),
    'task': {'train_data': {'global_batch_size': 2, 'seed': 1}, 'validation_data': {'global_batch_size': 4}},
    'trainer': {'train_steps': steps, 'checkpoint_interval': 2, 'validation_interval': steps},
  }


def check_workers(results):
  assert [r['strategy'] for r in results] == ['CollectiveAllReduceStrategy'] * 2 or [
    r['strategy'] for r in results
  ] == ['MultiWorkerMirroredStrategy'] * 2
  assert [r['num_replicas'] for r in results] == [2, 2]
  assert results[0]['replicas'] == results[1]['replicas'], 'the workers hold different weights'
  assert results[0]['loss'] == pytest.approx(results[1]['loss'], rel=1e-6)
  same_metrics(results[0]['metrics'], results[1]['metrics'])


@pytest.mark.slow
def test_two_workers(prefix, tmp_path):
  model_dir = tmp_path / 'model'
  workers = start_workers(multi_worker_request(prefix, model_dir, steps=4), tmp_path, 'first')
  results = results_of(workers)
  check_workers(results)
  assert f'({NUM_IMAGES} images' in workers[0][1].read_text()
  assert checkpoints.step_of(checkpoints.newest_intact(str(model_dir))) == 4
  # Only the chief writes; what both evaluated is what one device gets from the checkpoint.
  assert len(list((model_dir / 'train').glob('events*'))) == 1
  alone = trainer.run(
    rectangles.experiment(prefix), 'eval', str(model_dir), strategy=tf.distribute.OneDeviceStrategy('CPU:0')
  )
  same_metrics(alone, results[0]['metrics'])


def wait_for_step(step, model_dir, workers):
  """Returns when the workers have saved a checkpoint of at least `step`."""
  wait_for(
    lambda: (
      workers[0][0].poll() is not None
      or checkpoints.step_of(next(iter(checkpoints.available(str(model_dir))), '')) >= step
    ),
    workers,
  )
  assert workers[0][0].poll() is None, workers[0][1].read_text()[-3000:]


def continue_run(request, model_dir, tmp_path):
  """Starts both workers again for four more steps, and checks that they took up the newest checkpoint."""
  stopped_at = checkpoints.step_of(checkpoints.newest_intact(str(model_dir)))
  assert 4 <= stopped_at < request['trainer']['train_steps']
  request['trainer']['train_steps'] = stopped_at + 4
  workers = start_workers(request, tmp_path, 'again')
  check_workers(results_of(workers))
  assert re.search(rf'from \S*ckpt-{stopped_at}\b', workers[0][1].read_text())
  assert checkpoints.step_of(checkpoints.newest_intact(str(model_dir))) == stopped_at + 4


@pytest.mark.slow
def test_two_workers_continue_after_one_was_killed(prefix, tmp_path):
  model_dir = tmp_path / 'model'
  request = multi_worker_request(prefix, model_dir, steps=400)
  workers = start_workers(request, tmp_path, 'killed')
  wait_for_step(4, model_dir, workers)
  workers[1][0].send_signal(signal.SIGKILL)
  workers[1][0].wait()
  # The other one notices, or waits for its peer: the cluster's manager ends it.
  try:
    assert workers[0][0].wait(30) != 0
  except subprocess.TimeoutExpired:
    workers[0][0].kill()
    workers[0][0].wait()
  continue_run(request, model_dir, tmp_path)


@pytest.mark.slow
def test_two_workers_save_together_when_one_is_told_to_stop(prefix, tmp_path):
  model_dir = tmp_path / 'model'
  request = multi_worker_request(prefix, model_dir, steps=4000)
  request['trainer'] |= {'checkpoint_interval': 3999}
  workers = start_workers(request, tmp_path, 'told')
  chief, log = workers[0]
  wait_for(lambda: chief.poll() is not None or 'train 4/' in log.read_text(), workers)
  assert chief.poll() is None, log.read_text()[-3000:]
  workers[1][0].send_signal(signal.SIGTERM)
  wait_for(lambda: all(process.poll() is not None for process, _ in workers), workers)
  assert [process.returncode for process, _ in workers] == [42, 42]
  continue_run(request, model_dir, tmp_path)


@pytest.mark.parametrize(
  'runtime, message',
  [
    ({'distribution_strategy': 'parameter_server'}, 'distribution_strategy'),
    ({'num_gpus': 7}, 'num_gpus is 7'),
    ({'tpu': 'local'}, "TPU 'local' cannot be used.*tensorflow-tpu"),
  ],
)
def test_a_strategy_that_is_not_there(runtime, message):
  config = cfg.RuntimeConfig()
  config.override(runtime)
  with pytest.raises(ValueError, match=message):
    strategy.build_strategy(config)


def test_one_device_by_default():
  built = strategy.build_strategy(cfg.RuntimeConfig())
  assert isinstance(built, tf.distribute.OneDeviceStrategy)
  assert strategy.is_chief(built) and not strategy.is_multi_worker(built)


@pytest.mark.parametrize('text', ['{"cluster": ', '[]', '{"cluster": 1}', '{"cluster": {"worker": 2}}', '[' * 10**5])
def test_tf_config_must_be_json(monkeypatch, text):
  monkeypatch.setenv('TF_CONFIG', text)
  with pytest.raises(ValueError, match='TF_CONFIG is not a JSON object'):
    strategy.build_strategy(cfg.RuntimeConfig())
