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

"""Compares the forward pass of the pyramid alone with mmdetection's NASFPN in PyTorch.

pip install torch 'mmdet<4' mmengine 'mmcv-lite<2.2'
python -m benchmarks.neck_mmdetection --num_filters=256 --num_repeats=7 --image_size=512

mmdetection's side is at its best for inference: channels_last, inference mode, batch norms folded into the
convolutions; it is timed by itself, traced and frozen by TorchScript, and in bfloat16, on as many threads as ours. Ours
is timed in --dtype and in float32.

The two cannot give the same features: mmdetection pools attention by the mean and takes it from the finer input
(docs/reproduction.md). What is required to agree is the work: the same 3x3 convolutions, so the same number of their
weights, and the same shapes. mmdetection computes P6 and P7 by 1x1 convolutions, which ours has not; they are 0.1 % of
the work.
"""

import copy
import importlib
import os
import sys
import types

import numpy as np
import tensorflow as tf
from absl import app, flags

from benchmarks import side_by_side
from benchmarks.frozen import inference
from nasfpn_tf import processor
from nasfpn_tf.layers.feature_pyramid import FeaturePyramid
from nasfpn_tf.modeling import precision

_NUM_FILTERS = flags.DEFINE_integer('num_filters', 256, 'Number of filters of the pyramid (D).')
_NUM_REPEATS = flags.DEFINE_integer('num_repeats', 7, 'Pyramids (N).')
_IMAGE_SIZE = flags.DEFINE_integer(
  'image_size', 512, 'Side of the image from which the features are computed, a multiple of 128.'
)
_CHANNELS = flags.DEFINE_list('channels', ['512', '1024', '2048'], 'Channels of C3, C4 and C5.')
_DTYPE = flags.DEFINE_enum('dtype', 'bfloat16', ['float32', 'bfloat16'], 'Precision of our pyramid.')
_RUNS = flags.DEFINE_integer('runs', 30, 'Number of timed calls per side.', lower_bound=1)


def nasfpn_class():
  """Imports mmdetection's class without the compiled operations that its packages load and the pyramid does not use.

  Raises:
    SystemExit: a package is missing.
  """
  try:
    import mmcv
    import mmdet
  except ImportError as error:
    raise SystemExit(f'{error}: pip install torch "mmdet<4" mmengine "mmcv-lite<2.2"') from error
  for package, name in ((mmcv, 'mmcv.ops'), (mmdet, 'mmdet.models'), (mmdet, 'mmdet.models.necks')):
    hollow = types.ModuleType(name)
    hollow.__path__ = [os.path.join(os.path.dirname(package.__file__), *name.split('.')[1:])]
    sys.modules[name] = hollow
  return importlib.import_module('mmdet.models.necks.nas_fpn').NASFPN


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  peer_class = nasfpn_class()
  import torch
  from mmcv.cnn.utils.fuse_conv_bn import fuse_conv_bn

  width, repeats, channels = _NUM_FILTERS.value, _NUM_REPEATS.value, [int(text) for text in _CHANNELS.value]
  torch.set_num_threads(processor.num_cores())
  rng = np.random.default_rng(0)
  sizes = [_IMAGE_SIZE.value >> level for level in (3, 4, 5)]
  features = [
    rng.normal(size=[1, size, size, depth]).astype('float32') for size, depth in zip(sizes, channels, strict=True)
  ]

  pyramid = FeaturePyramid('nas_fpn', num_repeats=repeats, num_filters=width)
  named = {str(level): tf.constant(feature) for level, feature in zip((3, 4, 5), features, strict=True)}
  outputs = pyramid(named, training=False)
  ours = {'ours, float32': inference(pyramid, named)}
  if _DTYPE.value != precision.FLOAT32:
    with precision.computing_in(_DTYPE.value):
      rounded = FeaturePyramid('nas_fpn', num_repeats=repeats, num_filters=width)
    rounded(named, training=False)  # Makes its variables.
    ours = {f'ours, {_DTYPE.value}': inference(rounded, named), **ours}

  peer = peer_class(channels, width, num_outs=5, stack_times=repeats, norm_cfg={'type': 'BN'})
  weights = sum(np.prod(v.shape) for v in pyramid.trainable_variables if v.shape[:2] == (3, 3))
  theirs = sum(p.numel() for p in peer.parameters() if p.dim() == 4 and p.shape[2:] == (3, 3))
  side_by_side.require(weights == theirs, f'{weights} and {theirs} weights in 3x3 convolutions.')
  peer = fuse_conv_bn(peer.eval()).to(memory_format=torch.channels_last)
  inputs = [
    torch.from_numpy(feature.transpose(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)
    for feature in features
  ]
  with torch.inference_mode():
    found = [tuple(feature.shape[2:]) for feature in peer(inputs)]
    side_by_side.require(found == [tuple(f.shape[1:3]) for _, f in sorted(outputs.items())], f'shapes {found}.')
  with torch.no_grad():
    script = torch.jit.freeze(torch.jit.trace(peer, (tuple(inputs),)))
  half = copy.deepcopy(peer).to(torch.bfloat16)

  def call(module, given):
    with torch.inference_mode():
      return module(given)[0].float().numpy()

  timed = {name: (lambda side=side: side()[0].numpy()) for name, side in ours.items()}
  timed |= {
    'mmdetection': lambda: call(peer, inputs),
    'mmdetection, TorchScript': lambda: call(script, tuple(inputs)),
    'mmdetection, bfloat16': lambda: call(half, [feature.to(torch.bfloat16) for feature in inputs]),
  }
  samples = side_by_side.interleave(timed, _RUNS.value, warm_up=3)
  side_by_side.report(samples, {'mmdetection': 0.5, 'mmdetection, TorchScript': 0.5})


if __name__ == '__main__':
  app.run(main)
