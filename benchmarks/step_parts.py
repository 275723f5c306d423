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

"""Measures the time of each part of a training step: backbone, pyramid, head, and losses with the update.

python -m benchmarks.step_parts --model_id=50 --num_filters=256 --image_size=256
python -m benchmarks.step_parts --backbone=mobilenet --num_filters=64 --separable --image_size=384

Each row is a graph that ends behind its part: forward to there, and the gradient of the sum of what comes out. The
backbone is the same Keras layers whatever pyramid follows, so its row is a floor for any detector on it.
"""

import statistics

from absl import app, flags

from benchmarks import compared, side_by_side, synthetic_step

_BACKBONE = flags.DEFINE_enum('backbone', 'resnet', ['resnet', 'mobilenet'], 'ResNet or MobileNetV2.')
_MODEL_ID = flags.DEFINE_integer('model_id', 50, 'Depth of the ResNet.')
_NUM_REPEATS = flags.DEFINE_integer('num_repeats', 3, 'Pyramids (N).')
_NUM_FILTERS = flags.DEFINE_integer('num_filters', 256, 'Number of filters of pyramid and head (D).')
_SEPARABLE = flags.DEFINE_bool('separable', False, 'Separable convolutions in pyramid and head.')
_IMAGE_SIZE = flags.DEFINE_integer('image_size', 256, 'Side of the square images, a multiple of 128.')
_BATCH = flags.DEFINE_integer('batch', 4, 'Images in a step.')
_RUNS = flags.DEFINE_integer('runs', 15, 'Counted calls of each.', lower_bound=1)


def parts(model_config, batch):
  """Returns {part: function that runs the step up to this part}; the last is the whole step."""
  import tensorflow as tf

  model, whole = synthetic_step.build(model_config, batch)
  images, _ = synthetic_step.make_batch(model_config['input_size'][0], batch)

  def up_to(outputs_of, layers):
    variables = [variable for layer in layers for variable in layer.trainable_variables]

    @tf.function
    def run():
      with tf.GradientTape() as tape:
        total = tf.add_n([tf.reduce_sum(output) for output in tf.nest.flatten(outputs_of(images))])
      gradients = [gradient for gradient in tape.gradient(total, variables) if gradient is not None]
      # Every gradient has to be computed for the one number that is returned.
      return total + tf.add_n([tf.reduce_sum(gradient) for gradient in gradients])

    return lambda: float(run())

  def backbone(images):
    return model.backbone(images, training=True)

  def pyramid(images):
    return model.decoder(backbone(images), training=True)

  def head(images):
    return model.head(pyramid(images), training=True)

  return {
    'backbone': up_to(backbone, [model.backbone]),
    'and pyramid': up_to(pyramid, [model.backbone, model.decoder]),
    'and head': up_to(head, [model.backbone, model.decoder, model.head]),
    'and losses, update: the step': whole,
  }


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  config = compared.model_config(
    _BACKBONE.value, _MODEL_ID.value, _NUM_REPEATS.value, _NUM_FILTERS.value, _SEPARABLE.value, _IMAGE_SIZE.value
  )
  samples = side_by_side.interleave(parts(config, _BATCH.value), _RUNS.value, warm_up=2)
  print(side_by_side.machine())
  print('| up to | median ms | cpu ms | more than before, cpu ms |\n|---|---|---|---|')
  before = 0.0
  for name, side in samples.items():
    wall, cpu = statistics.median(side.wall_ms), statistics.median(side.cpu_ms)
    print(f'| {name} | {wall:.0f} | {cpu:.0f} | {cpu - before:.0f} |')
    before = cpu


if __name__ == '__main__':
  app.run(main)
