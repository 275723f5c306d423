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
"""The published sizes of the models: every figure of the literature that is known holds for what is built here.

Sources: NAS-FPN figures are those of EfficientDet's comparison (arXiv 1911.09070, table 2) and of the model zoo of the
authors' TPU code; FLOPs there are multiply-adds.
"""

import pytest
import tensorflow as tf

from nasfpn_tf import config, topology
from nasfpn_tf.modeling import cost, detector
from nasfpn_tf.training import params as params_lib

R50_FILTERS = {3: 512, 4: 1024, 5: 2048}


def _published(multiply_adds, giga):
  """Within 0.4 %: the published counters also count what is not a convolution."""
  return multiply_adds == pytest.approx(giga * 1e9, rel=4e-3)


def _num_trainable(model):
  return sum(v.shape.num_elements() for v in model.trainable_variables)


@pytest.fixture(scope='module')
def r50_nasfpn():
  return detector.build_detector(params_lib.load_params(config_files='r50_nasfpn_7x256_640').task.model)


@pytest.fixture(scope='module')
def r50_nasfpn_640(r50_nasfpn):
  """Multiply-adds at 640 pixels."""
  return cost.count_multiply_adds(r50_nasfpn, (640, 640))


def test_r50_nasfpn_7x256(r50_nasfpn):
  assert cost.count_params(r50_nasfpn) == r50_nasfpn.count_params() == 60_178_967  # Published: 60.3M.
  assert r50_nasfpn.decoder.count_params() == 29_885_440
  assert r50_nasfpn.decoder.count_params() == topology.params(topology.get('nas_fpn'), 7, 256, R50_FILTERS)


def test_multiply_adds_of_r50_nasfpn_7x256_at_640(r50_nasfpn_640):
  assert round(r50_nasfpn_640 / 1e9, 1) == 140.3
  assert _published(r50_nasfpn_640, 140.6)


@pytest.mark.parametrize(('size', 'built', 'published'), [(1024, 359.1, 360), (1280, 561.0, 563)])
def test_multiply_adds_of_r50_nasfpn_7x256(r50_nasfpn, size, built, published):
  counted = cost.count_multiply_adds(r50_nasfpn, (size, size))
  assert round(counted / 1e9, 1) == built
  assert _published(counted, published)


def test_multiply_adds_need_not_be_square(r50_nasfpn, r50_nasfpn_640):
  assert cost.count_multiply_adds(r50_nasfpn, (640, 1280, 3)) == 2 * r50_nasfpn_640


def test_r50_fpn():
  """RetinaNet's own pyramid, by Model Garden's decoder, counted by the same counter."""
  model = detector.build_detector(config.Detector(num_classes=91, input_size=[640, 640, 3], decoder={'type': 'fpn'}))
  counted = cost.count_multiply_adds(model, (640, 640))
  assert round(counted / 1e9, 1) == 96.9
  assert _published(counted, 97.0)
  assert round(_num_trainable(model) / 1e6, 2) == 34.09  # Published: 34.0M.


@pytest.mark.slow
def test_r50_nasfpn_7x384():
  """Its FLOPs are the published ones only if the head is as wide as the pyramid."""
  model = detector.build_detector(
    config.Detector(
      num_classes=91, input_size=[1280, 1280, 3], decoder={'feature_pyramid': {'num_repeats': 7, 'num_filters': 384}}
    )
  )
  counted = cost.count_multiply_adds(model, (1280, 1280))
  assert round(counted / 1e9, 1) == 1040.7
  assert _published(counted, 1043)
  assert round(_num_trainable(model) / 1e6, 1) == 103.6  # Published: 104M.
  assert model.head.get_config()['num_filters'] == 384


def test_closed_form_and_built_pyramid_agree(r50_nasfpn_640):
  """The whole is backbone + pyramid + head; the latter two have a closed form."""
  spec = topology.get('nas_fpn')
  pyramid = topology.multiply_adds(spec, 7, 256, 640, R50_FILTERS)
  head = topology.retinanet_head_multiply_adds(spec, 91, 256, 640)
  # ResNet-50 without its classifier: 4.09 G multiply-adds at 224 pixels, less than 0.3 % of it in the classifier.
  backbone = r50_nasfpn_640 - pyramid - head
  assert backbone == pytest.approx(4.09e9 * (640 / 224) ** 2, rel=5e-3)


@pytest.mark.slow
def test_efficientdet_d0():
  """arXiv 1911.09070: 3.9M params, 3,880,067 by the authors' code for 90 classes (README of rwightman's port), 2.54G.

  Ours has a 91st class and depthwise kernels in its 1x1 convolutions (`ConvBatchNorm` is separable as a whole). The
  authors halve all operations that the profiler knows, element-wise ones among them, so that is what is compared.
  """
  params = params_lib.load_params(config_files='efficientdet_d0_512')
  model = detector.build_detector(params.task.model)
  class_91 = 9 * (64 + 1)
  depthwise = 1 * 40 + 2 * 112 + 3 * 320
  assert cost.count_trainable_params(model) == 3_880_067 + class_91 + depthwise

  def forward(images):
    return model.head(model.decoder(model.backbone(images, training=False), training=False))

  graph = tf.function(forward).get_concrete_function(tf.TensorSpec([1, 512, 512, 3])).graph
  options = {**tf.compat.v1.profiler.ProfileOptionBuilder.float_operation(), 'output': 'none'}
  profile = tf.compat.v1.profiler.profile(graph=graph, options=options)
  assert profile.total_float_ops / 2 == pytest.approx(2.54e9, rel=0.01)
