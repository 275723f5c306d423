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

"""Chooses the distribution strategy of a run: TPU, several workers, all GPUs, or one device."""

import json
import os

import tensorflow as tf
from absl import logging
from official.common import distribute_utils
from official.core import config_definitions as cfg

from nasfpn_tf import processor


def build_strategy(runtime: cfg.RuntimeConfig) -> tf.distribute.Strategy:
  """Builds the strategy that `runtime`, then the environment, asks for.

  1. `runtime.tpu` (the flag `--tpu`): a TPU by name, address, or 'local'.
  2. TF_CONFIG with more than one worker, or `runtime.worker_hosts`: MultiWorkerMirroredStrategy.
  3. `runtime.distribution_strategy` 'one_device' or 'off'.
  4. 'mirrored' (the default): all GPUs, or the first `runtime.num_gpus`; without a GPU all logical CPUs. One device
     alone gets OneDeviceStrategy, which costs nothing.

  It must be called before anything else touches TensorFlow's devices.

  Raises:
    ValueError: a strategy that does not exist, more GPUs than there are, or a TPU that cannot be reached.
  """
  if runtime.tpu:
    return _tpu_strategy(runtime.tpu)
  if runtime.worker_hosts:
    distribute_utils.configure_cluster(runtime.worker_hosts, runtime.task_index)
  name = str(runtime.distribution_strategy).lower()
  if _num_workers() > 1 or name == 'multi_worker_mirrored':
    return distribute_utils.get_distribution_strategy(
      'multi_worker_mirrored', num_gpus=runtime.num_gpus, all_reduce_alg=runtime.all_reduce_alg
    )
  if name in ('one_device', 'off'):
    return tf.distribute.OneDeviceStrategy('GPU:0' if tf.config.list_logical_devices('GPU') else 'CPU:0')
  if name != 'mirrored':
    raise ValueError(
      f'runtime.distribution_strategy is {runtime.distribution_strategy!r}; choose mirrored, one_device or'
      f' multi_worker_mirrored (for a TPU, use --tpu).'
    )
  devices = _devices(runtime.num_gpus)
  if len(devices) == 1:
    return tf.distribute.OneDeviceStrategy(devices[0])
  logging.info('Mirroring the model on %s.', ', '.join(devices))
  return tf.distribute.MirroredStrategy(
    devices,
    cross_device_ops=distribute_utils._mirrored_cross_device_ops(runtime.all_reduce_alg, runtime.num_packs),
  )


def split_cpu(num_devices: int, intra_op_threads: int | None = None) -> None:
  """Makes `num_devices` devices of the CPU, its cores divided among them, so that 'mirrored' puts a replica on each.

  A step of many small operations leaves cores idle between them, which two replicas fill; so do, with less effect,
  fewer threads an operation, since several operations then run at once. It must be called before anything else touches
  TensorFlow's devices.

  Args:
    num_devices: one replica each.
    intra_op_threads: threads of one operation; None: all cores of its device.

  Raises:
    ValueError: `num_devices` is below 1.
    RuntimeError: TensorFlow has started already.
  """
  if num_devices < 1:
    raise ValueError(f'The CPU cannot be split into {num_devices} replicas: there must be at least 1.')
  if num_devices > 1:
    cpu = tf.config.list_physical_devices('CPU')[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * num_devices)
    intra_op_threads = intra_op_threads or max(1, processor.num_cores() // num_devices)
  if intra_op_threads:
    tf.config.threading.set_intra_op_parallelism_threads(intra_op_threads)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
  """Tells whether this process writes the run's files; false only for the non-chief workers of a multi-worker run."""
  return strategy.extended.should_checkpoint


def is_multi_worker(strategy: tf.distribute.Strategy) -> bool:
  """Tells whether other processes hold replicas too."""
  return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and _num_workers() > 1


def _devices(num_gpus: int) -> list[str]:
  gpus = [device.name for device in tf.config.list_logical_devices('GPU')]
  if num_gpus > len(gpus):
    raise ValueError(f'runtime.num_gpus is {num_gpus}, but TensorFlow sees {len(gpus)} GPUs.')
  if gpus:
    return gpus[: num_gpus or len(gpus)]
  return [device.name for device in tf.config.list_logical_devices('CPU')]


def _num_workers() -> int:
  """Counts the workers in TF_CONFIG, including the chief; 1 without TF_CONFIG."""
  text = os.environ.get('TF_CONFIG')
  if not text:
    return 1
  try:
    cluster = json.loads(text).get('cluster', {})
    return max(1, len(cluster.get('chief', [])) + len(cluster.get('worker', [])))
  except (ValueError, AttributeError, TypeError, RecursionError) as error:
    raise ValueError(f'TF_CONFIG is not a JSON object with a "cluster" ({error}): {text!r}') from error


def _tpu_strategy(address: str) -> tf.distribute.Strategy:
  try:
    return distribute_utils.get_distribution_strategy('tpu', tpu_address=address)
  except (ValueError, RuntimeError, OSError, tf.errors.OpError) as error:
    raise ValueError(
      f'The TPU {address!r} cannot be used: {str(error).strip().splitlines()[0] if str(error).strip() else error!r}. '
      'On a Cloud TPU VM install tensorflow-tpu in place of tensorflow (the same version; whichever is installed last '
      'wins) and give --tpu=local; elsewhere give the name of the TPU.'
    ) from error
