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
"""The options that convolutions have in common: out of keyword arguments, and back into them."""

import dataclasses

import pytest
import tf_keras

from nasfpn_tf.layers.conv_options import ConvOptions


def test_options_are_taken_and_the_rest_is_left():
  arguments = {'norm_momentum': 0.9, 'kernel_regularizer': tf_keras.regularizers.l2(0.5), 'name': 'cell'}
  options = ConvOptions.take(arguments)
  assert arguments == {'name': 'cell'}
  assert (options.activation, options.use_sync_bn, options.norm_momentum) == ('relu', False, 0.9)
  assert options.kernel_regularizer.l2 == 0.5


def test_options_that_a_layer_does_not_have_are_left():
  arguments = {'activation': 'swish', 'norm_epsilon': 0.1}
  options = ConvOptions.take(arguments, but=['activation'])
  assert arguments == {'activation': 'swish'} and options.norm_epsilon == 0.1
  assert list(options.to_dict(but=['activation', 'kernel_regularizer'])) == [
    'use_sync_bn',
    'norm_momentum',
    'norm_epsilon',
  ]


def test_a_layer_may_have_another_default():
  assert ConvOptions.take({}, activation='relu6').activation == 'relu6'
  assert ConvOptions.take({'activation': 'swish'}, activation='relu6').activation == 'swish'


def test_a_dict_makes_the_same_options():
  options = ConvOptions(activation='swish', use_sync_bn=True, kernel_regularizer=tf_keras.regularizers.l1(0.5))
  again = ConvOptions(**options.to_dict())
  assert again.to_dict() == options.to_dict() and again.kernel_regularizer.l1 == 0.5
  assert ConvOptions().to_dict()['kernel_regularizer'] is None


def test_the_batch_norm_has_them():
  norm = ConvOptions(norm_momentum=0.5, norm_epsilon=0.25, use_sync_bn=True).batch_norm(name='norm')
  assert (norm.momentum, norm.epsilon, norm.synchronized, norm.name) == (0.5, 0.25, True, 'norm')


def test_options_are_a_value():
  with pytest.raises(dataclasses.FrozenInstanceError):
    ConvOptions().activation = 'swish'
