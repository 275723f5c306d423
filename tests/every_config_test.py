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
"""Every file of configs/ from end to end: builds at its size, trains a step, is exported, and loads by its name.

Slow, about a processor minute each, and up to 11 GB: a process for each name keeps the memory of one from another.
Some: `pytest -m slow tests/every_config_test.py -k nasfpnlite`.
"""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from nasfpn_tf import zoo
from nasfpn_tf.config import loading
from nasfpn_tf.export import saved_model, source
from nasfpn_tf.training import params as params_lib
from nasfpn_tf.training import trainer
from tests.training import rectangles

NAMES = [name for name in sorted(loading.config_names()) if '/' not in name]
# The step has one image, so that it fits into 24 GiB for every model; above this many pixels it is of SMALL.
LARGEST = 512 * 512
SMALL = [128, 128, 3]


@pytest.fixture(scope='module')
def prefix(tmp_path_factory):
  """Records whose labels are category ids, so that a model may have more classes."""
  return rectangles.write(tmp_path_factory.mktemp('records'), num_images=2, num_shards=1, labels='category_id')


@pytest.mark.slow
@pytest.mark.parametrize('name', NAMES)
def test_it_trains_is_exported_and_loads_again(name, prefix, tmp_path):
  tf_keras.backend.clear_session()
  at_its_size = params_lib.load_params(config_files=name).task.model
  num_classes = at_its_size.num_classes or 10
  size = list(at_its_size.input_size)
  changes = {
    'task': {
      'model': {
        'num_classes': num_classes,
        'input_size': size if math.prod(size[:2]) <= LARGEST else SMALL,
        'backbone': {'applications': {'weights': 'none'}},
      },
      'train_data': {
        'input_path': prefix,
        'global_batch_size': 1,
        'shuffle_buffer_size': 2,
        'cache': False,
        'seed': 0,
      },
    },
    'trainer': {'train_steps': 1, 'steps_per_loop': 1, 'checkpoint_interval': 1, 'summary_interval': 1},
  }
  model_dir = str(tmp_path / 'run')
  trainer.run(params_lib.load_params(config_files=name, params_override=changes), 'train', model_dir)
  history = [json.loads(line) for line in (tmp_path / 'run' / 'train_history.jsonl').read_text().splitlines()]
  assert [line['step'] for line in history] == [1]
  assert all(math.isfinite(value) for value in history[0].values())

  trained = source.load(model_dir)
  image = np.random.default_rng(0).integers(0, 255, (96, 128, 3)).astype(np.uint8)
  version = saved_model.export_saved_model(trained, str(tmp_path / 'export'), images=[image])
  assert tf.saved_model.contains_saved_model(version)

  own = f'task.model.num_classes={num_classes}'
  loaded = zoo.load_detector(name, checkpoint=model_dir, params_override=own)
  assert list(loaded.backbone.input_shape[1:3]) == size[:2]
  for ours, theirs in zip(loaded.variables, trained.model.variables, strict=True):
    np.testing.assert_array_equal(ours, theirs)
