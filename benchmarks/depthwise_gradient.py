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

"""Measures the gradients of MobileNetV2's strided depthwise convolutions: tf_keras's layer in bfloat16, and ours.

python -m benchmarks.depthwise_gradient --input_size=256,384 --batch=8

For each of the three layers that have a gradient with respect to their input in training (the first one is frozen in
the recipes), one call computes outputs and both gradients; `float32` is tf_keras's layer in float32.
"""

from absl import app, flags

from benchmarks import side_by_side

_INPUT_SIZE = flags.DEFINE_list('input_size', ['256', '384'], 'Height and width of the images.')
_BATCH = flags.DEFINE_integer('batch', 8, 'Images.', lower_bound=1)
_THREADS = flags.DEFINE_integer('threads', 1, 'Of TensorFlow.', lower_bound=1)
_RUNS = flags.DEFINE_integer('runs', 15, 'Number of timed calls per side.', lower_bound=1)

_LAYERS = {'block_3': (4, 144), 'block_6': (8, 192), 'block_13': (16, 576)}  # Stride of its input, channels.


def caller(layer, shape, dtype):
  """Returns a function that computes outputs and gradients of the layer on noise."""
  import tensorflow as tf

  images = tf.cast(tf.random.normal(shape), dtype)
  layer.build(shape)

  @tf.function
  def run():
    with tf.GradientTape() as tape:
      tape.watch(images)
      outputs = layer(images, training=True)
    return tape.gradient(outputs, [images, *layer.trainable_variables])

  return lambda: run()[0].numpy()


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  import tensorflow as tf
  import tf_keras

  from nasfpn_tf.layers.depthwise import StridedDepthwiseConv2D

  tf.config.threading.set_intra_op_parallelism_threads(_THREADS.value)
  height, width = map(int, _INPUT_SIZE.value)
  for name, (stride, channels) in _LAYERS.items():
    shape = [_BATCH.value, height // stride, width // stride, channels]
    options = {'kernel_size': 3, 'strides': 2, 'padding': 'same', 'use_bias': False}
    print(f'{name}, {shape}')
    samples = side_by_side.interleave(
      {
        'ours': caller(StridedDepthwiseConv2D(dtype='mixed_bfloat16', **options), shape, tf.bfloat16),
        'tf_keras': caller(tf_keras.layers.DepthwiseConv2D(dtype='mixed_bfloat16', **options), shape, tf.bfloat16),
        'float32': caller(tf_keras.layers.DepthwiseConv2D(**options), shape, tf.float32),
      },
      _RUNS.value,
      3,
    )
    side_by_side.report(samples, {'tf_keras': None, 'float32': None})


if __name__ == '__main__':
  app.run(main)
