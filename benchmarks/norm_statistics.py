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

"""Estimates the batch-norm statistics of a trained detector again, and compares its AP before and after.

python -m benchmarks.norm_statistics --model_dir=runs/bccd --validation=records/bccd_test

If the moving averages of the training lag behind or depend on its last batches, fresh ones give a better AP: the mean
of mean and variance over --batches training batches, with the weights as they are.
"""

import os
import shutil
import tempfile

import tensorflow as tf
import tf_keras
from absl import app, flags

from nasfpn_tf import zoo
from nasfpn_tf.data import progress
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.predict import evaluation
from nasfpn_tf.predict.checkpoint import CheckpointPredictor
from nasfpn_tf.training.task import DetectionTask

_MODEL_DIR = flags.DEFINE_string('model_dir', None, 'Of the training; its records are read again.', required=True)
_VALIDATION = flags.DEFINE_string('validation', None, 'Records that AP is measured on.', required=True)
_BATCHES = flags.DEFINE_integer('batches', 40, 'Training batches.', lower_bound=1)


def estimate(model, batches):
  """Replaces the moving statistics of a model's batch norms by their means over the batches; runs eagerly."""
  norms = [layer for layer in model.submodules if isinstance(layer, tf_keras.layers.BatchNormalization)]
  for number, images in enumerate(batches, start=1):
    for norm in norms:
      norm.momentum = 1.0 - 1.0 / number
    model(images, training=True)
  return len(norms)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; options begin with --.')
  params = zoo.load_experiment(_MODEL_DIR.value)
  params.task.train_data.seed = 0
  model = zoo.load_detector(_MODEL_DIR.value)
  inputs = DetectionTask(params.task).build_inputs(params.task.train_data)
  images = (preprocess.to_network(images) for images, _ in inputs.take(_BATCHES.value))
  count = estimate(model, progress.track(images, _BATCHES.value, 'statistics: batches'))
  with tempfile.TemporaryDirectory() as directory:
    shutil.copy(os.path.join(_MODEL_DIR.value, 'params.yaml'), directory)
    fresh = tf.train.Checkpoint(model=model, **model.checkpoint_items).write(os.path.join(directory, 'fresh'))
    print(f'| statistics of {count} batch norms | AP | AP50 |\n|---|---|---|')
    for name, checkpoint in (('of the training', None), (f'of {_BATCHES.value} batches', fresh)):
      metrics = evaluation.evaluate_records(CheckpointPredictor(_MODEL_DIR.value, checkpoint), _VALIDATION.value)
      print(f'| {name} | {100 * metrics["AP"]:.2f} | {100 * metrics["AP50"]:.2f} |')


if __name__ == '__main__':
  app.run(main)
