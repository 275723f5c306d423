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

"""A toy data set and a toy detector that the tests of training share: colored rectangles, 128 pixels, two classes."""

import pathlib

import numpy as np
from official.core import exp_factory
from PIL import Image

from nasfpn_tf.data.records import tfrecord
from nasfpn_tf.training import registry_imports  # noqa: F401
from tests.modeling.backbones import tiny  # noqa: F401  (registers the backbone)

SIZE = 128
COLORS = {7: (220, 40, 40), 9: (40, 60, 220)}  # By category id; the labels are 1 and 2.


def write(
  directory: pathlib.Path, num_images: int = 6, num_shards: int = 2, seed: int = 0, name: str = 'set', **options
) -> str:
  """Writes records of `num_images` images of 1 to 3 rectangles; returns their prefix. Options: the writer's."""
  rng = np.random.default_rng(seed)
  images = directory / f'{name}_images'
  images.mkdir(parents=True)
  coco = {
    'images': [],
    'annotations': [],
    'categories': [{'id': 7, 'name': 'red'}, {'id': 9, 'name': 'blue'}],
  }
  for i in range(num_images):
    image = rng.integers(110, 150, (SIZE, SIZE, 3)).astype(np.uint8)
    coco['images'].append({'id': 100 + i, 'file_name': f'{i}.jpg', 'width': SIZE, 'height': SIZE})
    for _ in range(rng.integers(1, 4)):
      width, height = rng.integers(28, 64, 2)
      x, y = rng.integers(0, SIZE - width), rng.integers(0, SIZE - height)
      category = int(rng.choice(list(COLORS)))
      image[y : y + height, x : x + width] = COLORS[category]
      box = [int(x), int(y), int(width), int(height)]
      coco['annotations'].append(
        {
          'id': len(coco['annotations']) + 1,
          'image_id': 100 + i,
          'category_id': category,
          'bbox': box,
          'area': box[2] * box[3],
          'iscrowd': 0,
        }
      )
    Image.fromarray(image).save(images / f'{i}.jpg', quality=95)
  prefix = directory / name
  tfrecord.write_tfrecords(coco, images, prefix, num_shards=num_shards, progress=False, **options)
  return str(prefix)


# For commands in a process of their own, which know only the project's own backbones.
NARROW_RESNET = {'type': 'resnet', 'resnet': {'model_id': 10, 'depth_multiplier': 0.25}}


def experiment(prefix: str, **overrides):
  """A tiny experiment on the records `prefix`, with levels 3 to 5.

  `overrides` are of the experiment's sections, e.g. `trainer={...}`.
  """
  params = exp_factory.get_exp_config('nasfpn_retinanet')
  params.override(
    {
      # Tests compare numbers, whatever machine they run on.
      'runtime': {'mixed_precision_dtype': 'float32'},
      'task': {
        'model': {
          'input_size': [SIZE, SIZE, 3],
          'max_level': 5,  # The rectangles have the size of its anchors; two levels more take a third more time.
          'backbone': {'type': 'tiny', 'tiny': {'num_filters': 8}},
          'decoder': {'feature_pyramid': {'num_repeats': 1, 'num_filters': 16}},
          'head': {'num_convs': 1},
          'norm_activation': {'norm_momentum': 0.9, 'norm_epsilon': 0.001},
        },
        'losses': {'l2_weight_decay': 0.0},
        'train_data': {
          'input_path': prefix,
          'global_batch_size': 2,
          'shuffle_buffer_size': 8,
          'parser': {'aug_rand_hflip': False, 'aug_scale_min': 1.0, 'aug_scale_max': 1.0},
        },
        'validation_data': {'input_path': prefix, 'global_batch_size': 4},
      },
      'trainer': {
        'learning_rate_batch_size': 0,
        'train_steps': 4,
        'steps_per_loop': 2,
        'checkpoint_interval': 2,
        'validation_interval': 4,
        'summary_interval': 2,
        'optimizer_config': {
          'optimizer': {'type': 'adam', 'adam': {'global_clipnorm': 10.0}},
          'learning_rate': {'type': 'constant', 'constant': {'learning_rate': 0.003}},
          'warmup': {'type': None},
        },
      },
    },
    is_strict=True,
  )
  params.override(overrides, is_strict=True)
  return params
