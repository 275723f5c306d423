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

"""The peer of the comparisons is Model Garden's model with the settings and weights of ours."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from benchmarks import compared, model_garden
from nasfpn_tf.modeling import detector
from nasfpn_tf.training import params as params_lib


def task_of(**changes):
  model = compared.model_config('resnet', 18, 2, 16, True, 128)
  params = params_lib.load_params(params_override={'task': {'model': {**model, **changes}}})
  return params.task


def test_the_peer_computes_the_same():
  task = task_of()
  tf_keras.utils.set_random_seed(0)
  ours = detector.build_detector(task.model)
  theirs = model_garden.build_model(model_garden.task_config(task), 'corrected')
  model_garden.copy_weights(ours, theirs)
  images = tf.random.stateless_uniform([1, 128, 128, 3], [0, 1])
  found, expected = (model(images, training=True) for model in (ours, theirs))
  for output in ('cls_outputs', 'box_outputs'):
    for level in expected[output]:
      np.testing.assert_allclose(found[output][level], expected[output][level], rtol=1e-3, atol=1e-4)


def test_what_the_peer_cannot_do_is_refused():
  task = task_of(head={'num_filters': 16, 'share_towers': True})
  with pytest.raises(ValueError, match='Model Garden has no share_towers in RetinaNetHead'):
    model_garden.task_config(task)
