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

"""Sixteen COCO images learnt by heart: labels, losses and decoding agree on 38 classes and boxes of all sizes."""

import json

import pytest
from official.core import exp_factory

from nasfpn_tf.data.records import tfrecord
from nasfpn_tf.training import trainer
from tests import testing

NUM_IMAGES = 16
STEPS = 700
WEIGHTS = 'mobilenet_v2_1.0_224_no_top_from_tf2_ptq_int8.h5'


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
  """Records of the first images of coco_mini."""
  source = testing.shared_data('coco_mini')
  coco = json.loads((source / 'annotations' / 'instances_train.json').read_text())
  coco['images'] = coco['images'][:NUM_IMAGES]
  ids = {image['id'] for image in coco['images']}
  coco['annotations'] = [annotation for annotation in coco['annotations'] if annotation['image_id'] in ids]
  directory = tmp_path_factory.mktemp('coco')
  (directory / 'first.json').write_text(json.dumps(coco))
  tfrecord.write_tfrecords(
    str(directory / 'first.json'), str(source / 'images'), str(directory / 'first'), num_shards=1, progress=False
  )
  return str(directory / 'first')


def experiment(prefix: str, weights: str):
  params = exp_factory.get_exp_config('nasfpn_retinanet')
  params.override(
    {
      'task': {
        'model': {
          'input_size': [512, 512, 3],
          'anchor': {'anchor_size': 2.0},
          'backbone': {
            'type': 'applications',
            'applications': {'name': 'mobilenet_v2', 'norm_momentum': 0.9, 'weights': weights},
          },
          'decoder': {'feature_pyramid': {'num_repeats': 2, 'num_filters': 64, 'use_separable_conv': True}},
          'head': {'num_convs': 2, 'use_separable_conv': True},
          'norm_activation': {'norm_momentum': 0.9, 'norm_epsilon': 0.001},
        },
        'losses': {'l2_weight_decay': 0.0},
        'train_data': {
          'input_path': prefix,
          'global_batch_size': 8,
          'cache': True,
          'seed': 1,
          'parser': {'aug_rand_hflip': False, 'aug_scale_min': 1.0, 'aug_scale_max': 1.0},
        },
        'validation_data': {'input_path': prefix, 'global_batch_size': 8},
      },
      'trainer': {
        'learning_rate_batch_size': 0,
        'train_steps': STEPS,
        'steps_per_loop': 50,
        'summary_interval': 50,
        'checkpoint_interval': STEPS,
        'validation_interval': STEPS,
        'optimizer_config': {
          'optimizer': {'type': 'adam', 'adam': {'global_clipnorm': 10.0}},
          'learning_rate': {
            'type': 'cosine',
            'cosine': {'initial_learning_rate': 0.002, 'decay_steps': STEPS},
          },
          'warmup': {'type': 'linear', 'linear': {'warmup_steps': 30, 'warmup_learning_rate': 0.0001}},
        },
      },
    }
  )
  return params


@pytest.mark.slow
def test_learns_sixteen_coco_images_by_heart(prefix, tmp_path):
  params = experiment(prefix, str(testing.shared_weights(WEIGHTS)))
  metrics = trainer.run(params, 'train_and_eval', str(tmp_path / 'model'))
  assert metrics['AP'] >= 0.8
  assert metrics['AP50'] >= 0.9
