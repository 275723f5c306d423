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

"""Compares a whole training step, decoding and labels included, with Model Garden's task.

python -m benchmarks.training_step
python -m benchmarks.training_step --kind=as_shipped --backbone=mobilenet --num_filters=64 --separable --image_size=384

Each side is a process of its own, run in turn, on the same records and weights: the next batch from its own input
pipeline, then forward, losses, gradients and an update. On one same batch both must have the same loss, unless Model
Garden's decoder is taken as shipped at a width other than 256, where it is another network. Both compute in mixed
bfloat16 unless --dtype and --peer_dtype say otherwise.
"""

import json
import os
import tempfile

from absl import app, flags

from benchmarks import side_by_side

_BACKBONE = flags.DEFINE_enum('backbone', 'resnet', ['resnet', 'mobilenet'], 'ResNet or MobileNetV2.')
_MODEL_ID = flags.DEFINE_integer('model_id', 50, 'Depth of the ResNet.')
_NUM_REPEATS = flags.DEFINE_integer('num_repeats', 3, 'Pyramids (N).')
_NUM_FILTERS = flags.DEFINE_integer('num_filters', 256, 'Number of filters of pyramid and head (D).')
_SEPARABLE = flags.DEFINE_bool('separable', False, 'Separable convolutions in pyramid and head.')
_IMAGE_SIZE = flags.DEFINE_integer('image_size', 256, 'Side of the square images, a multiple of 128.')
_BATCH = flags.DEFINE_integer('batch', 4, 'Images in a step.')
_DTYPE = flags.DEFINE_enum('dtype', 'bfloat16', ['float32', 'bfloat16'], 'Precision of our network.')
_PEER_DTYPE = flags.DEFINE_enum('peer_dtype', 'bfloat16', ['float32', 'bfloat16'], "Precision of Model Garden's.")
_IMAGES = flags.DEFINE_enum('images', 'uint8', ['float32', 'uint8'], 'Of our input pipeline.')
_KIND = flags.DEFINE_enum('kind', 'corrected', ['as_shipped', 'corrected'], "Model Garden's decoder at other widths.")
_STEPS = flags.DEFINE_integer(
  'steps', 20, 'Number of timed steps per process, after three warm-up steps.', lower_bound=1
)
_PAIRS = flags.DEFINE_integer('pairs', 3, 'Processes of each side.', lower_bound=1)
_SIDE = flags.DEFINE_string('side', '', 'Set internally in the measuring processes.')
_RECORDS = 'NASFPN_TF_BENCHMARK_RECORDS'  # Environment variable: the records of both sides.


def _measure():
  import tensorflow as tf
  import tf_keras

  from benchmarks import compared, model_garden
  from nasfpn_tf.modeling import precision
  from nasfpn_tf.training import params as params_lib
  from nasfpn_tf.training.task import DetectionTask

  data = {
    'input_path': os.environ[_RECORDS],
    'global_batch_size': _BATCH.value,
    'shuffle_buffer_size': 64,
    'seed': 1,
    'parser': {'aug_rand_hflip': True, 'aug_scale_min': 0.8, 'aug_scale_max': 1.2},
  }
  model_config = compared.model_config(
    _BACKBONE.value, _MODEL_ID.value, _NUM_REPEATS.value, _NUM_FILTERS.value, _SEPARABLE.value, _IMAGE_SIZE.value
  )
  params = params_lib.load_params(params_override={'task': {'model': model_config, 'train_data': data}})
  tf_keras.utils.set_random_seed(1)
  task = DetectionTask(params.task)
  with precision.computing_in(_DTYPE.value):
    model = task.build_model()
  same_batch = next(iter(task.build_inputs(params.task.train_data)))
  is_same_network = True
  if _SIDE.value == 'theirs':
    from official.vision.tasks import retinanet

    ours, theirs = model, model_garden.task_config(params.task)
    is_same_network = model_garden.same_network(_NUM_FILTERS.value, _KIND.value)
    with precision.computing_in(_PEER_DTYPE.value):
      model = model_garden.build_model(theirs, _KIND.value)
    if is_same_network:
      model_garden.copy_weights(ours, model)
    shared = params.task.train_data.as_dict()
    keys = ('input_path', 'global_batch_size', 'shuffle_buffer_size', 'is_training', 'dtype', 'seed')
    theirs.train_data.override({key: shared[key] for key in keys} | {'parser': data['parser']})
    task = retinanet.RetinaNetTask(theirs)
  else:
    params.task.train_data.dtype = _IMAGES.value
  dataset = iter(task.build_inputs(task.task_config.train_data))
  optimizer = tf_keras.optimizers.SGD(1e-3, momentum=0.9)
  optimizer.build(model.trainable_variables)

  @tf.function
  def step(images, labels):
    return task.train_step((images, labels), model, optimizer)['loss']

  first_loss = float(step(*same_batch))
  samples = side_by_side.interleave({'': lambda: float(step(*next(dataset)))}, _STEPS.value, warm_up=3)['']
  result = {'first_loss': first_loss, 'is_same_network': is_same_network}
  side_by_side.hand_back({**result, 'wall_ms': samples.wall_ms, 'cpu_ms': samples.cpu_ms})


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  if _SIDE.value:
    _measure()
    return
  from benchmarks import synthetic_images
  from nasfpn_tf.data.records import tfrecord

  sides = {'ours': [], 'theirs': []}
  with tempfile.TemporaryDirectory() as directory:
    image_dir, annotations = synthetic_images.write_coco(directory, 128)
    tfrecord.write_tfrecords(annotations, image_dir, f'{directory}/set', num_shards=4, progress=False)
    for pair in range(_PAIRS.value):
      for side in sorted(sides, reverse=bool(pair % 2)):
        records = {_RECORDS: f'{directory}/set-*.tfrecord'}
        sides[side].append(side_by_side.run_side('benchmarks.training_step', side, records))
  losses = {side: results[0]['first_loss'] for side, results in sides.items()}
  print(json.dumps({'loss of the same batch': losses}))
  if sides['theirs'][0]['is_same_network']:
    tolerance = 1e-3 if _DTYPE.value == _PEER_DTYPE.value == 'float32' else 2e-2
    difference = abs(losses['ours'] - losses['theirs'])
    side_by_side.require(difference <= tolerance * abs(losses['ours']), f'losses {losses} of the same batch.')
  reach = 0.6 if not _SEPARABLE.value else 0.4 if _KIND.value == 'as_shipped' else 0.55
  samples = {
    side: side_by_side.Samples(
      *(tuple(ms for result in results for ms in result[clock]) for clock in ('wall_ms', 'cpu_ms'))
    )
    for side, results in sides.items()
  }
  name = f'Model Garden, {_KIND.value.replace("_", " ")}, {_PEER_DTYPE.value}'
  side_by_side.report({f'ours, {_DTYPE.value}': samples['ours'], name: samples['theirs']}, {name: reach})


if __name__ == '__main__':
  app.run(main)
