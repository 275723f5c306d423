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

"""Errors are told in one line, without the machinery around them."""

import pytest
import tensorflow as tf

from nasfpn_tf.training import failure


@pytest.mark.parametrize(
  'text, line',
  [
    ('simple', 'simple'),
    ("levels differ\n  In call to configurable 'Trainer' (<class 'x'>)", 'levels differ'),
    ('Record 7 of x.tfrecord\n\t [[{{node parse}}]] [Op:IteratorGetNext] name: ', 'Record 7 of x.tfrecord'),
    ('', 'ValueError'),
  ],
)
def test_message(text, line):
  assert failure.message(ValueError(text)) == line


def test_an_error_of_a_graph_keeps_its_cause():
  @tf.function
  def fails(x):
    with tf.control_dependencies([tf.debugging.assert_less(x, 3, message='box 5 of image 17 is upside down')]):
      return tf.identity(x)

  with pytest.raises(tf.errors.InvalidArgumentError) as error:
    fails(tf.constant(4))
  message = failure.message(error.value)
  assert 'box 5 of image 17 is upside down' in message
  assert '\n' not in message and 'node' not in message and 'File' not in message
