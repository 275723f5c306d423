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

"""Compares the forward pass of the pyramid alone with Model Garden's NASFPN on the same weights.

python -m benchmarks.neck_forward --num_filters=256 --num_repeats=7 --image_size=512
python -m benchmarks.neck_forward --num_filters=64 --num_repeats=3 --separable --image_size=384

The last row is the floor: the pyramid's convolutions alone, on inputs of the same shapes, with nothing merged between.
At widths other than 256 Model Garden's decoder as shipped is a larger network (it resamples to 256 inside), so only
the corrected one must give the same features there. Model Garden's is in float32; ours in bfloat16 must be near. With
--frozen weights become constants, on all sides.
"""

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks import model_garden, side_by_side
from benchmarks.frozen import inference
from nasfpn_tf.interop import model_garden as interop
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid
from nasfpn_tf.modeling import precision

_NUM_FILTERS = flags.DEFINE_integer('num_filters', 256, 'Number of filters of the pyramid (D).')
_NUM_REPEATS = flags.DEFINE_integer('num_repeats', 7, 'Pyramids (N).')
_SEPARABLE = flags.DEFINE_bool('separable', False, 'Separable convolutions.')
_IMAGE_SIZE = flags.DEFINE_integer(
  'image_size', 512, 'Side of the image from which the features are computed, a multiple of 128.'
)
_BATCH = flags.DEFINE_integer('batch', 1, 'Images in a call.')
_FROZEN = flags.DEFINE_bool('frozen', True, 'Make the weights constants.')
_CHANNELS = flags.DEFINE_list('channels', ['512', '1024', '2048'], 'Channels of C3, C4 and C5.')
_DTYPE = flags.DEFINE_enum('dtype', 'bfloat16', ['float32', 'bfloat16'], 'Precision of our pyramid.')
_RUNS = flags.DEFINE_integer('runs', 30, 'Number of timed calls per side.', lower_bound=1)


class Convolutions(tf.Module):
  """Computes what every implementation of a pyramid must: the convolution of each cell, once."""

  def __init__(self, pyramid, features):
    super().__init__()
    self._pyramid = pyramid
    height, width = features['3'].shape[1:3]
    self._inputs = {
      level: tf.random.stateless_normal(
        [_BATCH.value, height >> (level - 3), width >> (level - 3), _NUM_FILTERS.value], [0, level]
      )
      for level in pyramid.spec.levels
    }

  def __call__(self, features, training):
    # Nothing is folded in advance: the inputs depend on an argument.
    zero = 0.0 * features['3'][0, 0, 0, 0]
    outputs = {level: inputs + zero for level, inputs in self._inputs.items()}
    for stage in self._pyramid.stages:
      for cell, spec in zip(stage.cells, stage.spec.cells, strict=True):
        outputs[spec.level] = cell.conv_norm.conv(outputs[spec.level])
    return {str(level): output for level, output in outputs.items()}


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  width = _NUM_FILTERS.value
  rng = np.random.default_rng(0)
  features = {}
  for level, channels in zip((3, 4, 5), map(int, _CHANNELS.value), strict=True):
    shape = [_BATCH.value, _IMAGE_SIZE.value >> level, _IMAGE_SIZE.value >> level, channels]
    features[str(level)] = tf.constant(rng.normal(size=shape), tf.float32)
  pyramid = FeaturePyramid(
    'nas_fpn', num_repeats=_NUM_REPEATS.value, num_filters=width, use_separable_conv=_SEPARABLE.value
  )
  expected = pyramid(features, training=False)
  sides = {'ours, float32': inference(pyramid, features, _FROZEN.value)}
  if _DTYPE.value != precision.FLOAT32:
    with precision.computing_in(_DTYPE.value):
      rounded = FeaturePyramid(
        'nas_fpn', num_repeats=_NUM_REPEATS.value, num_filters=width, use_separable_conv=_SEPARABLE.value
      )
    rounded(features, training=False)  # Makes its variables.
    rounded.set_weights(pyramid.get_weights())
    for level, feature in rounded(features, training=False).items():
      error = tf.reduce_mean(tf.abs(tf.cast(feature, tf.float32) - expected[level]))
      error = float(error / tf.reduce_mean(tf.abs(expected[level])))
      side_by_side.require(error < 0.05, f'P{level} in {_DTYPE.value} is {error:.1e} of its mean away from float32.')
    sides = {f'ours, {_DTYPE.value}': inference(rounded, features, _FROZEN.value), **sides}
  # Frozen or not, dense 256: the whole gain is in what surrounds the convolutions.
  to_reach = {'Model Garden, as shipped': 0.35 if _SEPARABLE.value else 0.55}
  for kind in model_garden.KINDS[: 1 if width == 256 else 2]:
    decoder = model_garden.decoder_class(kind)(
      {level: tf.TensorShape([None, *feature.shape[1:]]) for level, feature in features.items()},
      num_filters=width,
      num_repeats=_NUM_REPEATS.value,
      use_separable_conv=_SEPARABLE.value,
    )
    name = f'Model Garden, {kind.replace("_", " ")}'
    if model_garden.same_network(width, kind):
      interop.save_to_model_garden(pyramid, decoder)
      for level, feature in decoder(features, training=False).items():
        error = float(tf.reduce_max(tf.abs(feature - expected[level])) / tf.reduce_max(tf.abs(feature)))
        side_by_side.require(error < 1e-4, f'P{level} of {name} differs by {error:.1e} of its largest value.')
    sides[name] = inference(decoder, features, _FROZEN.value)
  sides['ours, convolutions alone'] = inference(Convolutions(pyramid, features), features, _FROZEN.value)
  timed = {name: (lambda call=call: call()[0].numpy()) for name, call in sides.items()}
  samples = side_by_side.interleave(timed, _RUNS.value, warm_up=3)
  side_by_side.report(samples, to_reach)


if __name__ == '__main__':
  app.run(main)
