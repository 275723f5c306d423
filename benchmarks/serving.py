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

"""Compares a SavedModel that takes encoded images with Model Garden's export of the same weights.

python -m benchmarks.serving
python -m benchmarks.serving --backbone=mobilenet --num_filters=64 --num_repeats=3 --separable --image_size=384

One image of 640x480 in a request, from JPEG bytes to detections. Model Garden's export is made with its fastest
suppression ('batched') and, at widths other than 256, with its decoder corrected. Variables and float32 are all it
offers; ours are timed frozen, in --dtype and in float32, and as variables. In float32 all must detect the same; how far
bfloat16 is away is printed. The last row is the floor: our network alone, from pixels to boxes and scores of all
anchors, with nothing decoded or suppressed.
"""

import pathlib
import tempfile

import numpy as np
import tensorflow as tf
import tf_keras
from absl import app, flags
from official.core import config_definitions as cfg
from official.vision.serving import detection, export_saved_model_lib

from benchmarks import compared, model_garden, side_by_side, synthetic_images
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.export import anytime_module
from nasfpn_tf.modeling import detector, precision
from nasfpn_tf.training import params as params_lib

_BACKBONE = flags.DEFINE_enum('backbone', 'resnet', ['resnet', 'mobilenet'], 'ResNet or MobileNetV2.')
_MODEL_ID = flags.DEFINE_integer('model_id', 50, 'Depth of the ResNet.')
_NUM_REPEATS = flags.DEFINE_integer('num_repeats', 7, 'Pyramids (N).')
_NUM_FILTERS = flags.DEFINE_integer('num_filters', 256, 'Number of filters of pyramid and head (D).')
_SEPARABLE = flags.DEFINE_bool('separable', False, 'Separable convolutions in pyramid and head.')
_IMAGE_SIZE = flags.DEFINE_integer('image_size', 640, "Side of the network's input, a multiple of 128.")
_NMS = flags.DEFINE_enum('nms_version', 'batched', ['batched', 'v2'], "Model Garden's NMS; 'v2' is its default.")
_DTYPE = flags.DEFINE_enum('dtype', 'bfloat16', ['float32', 'bfloat16'], 'Precision of our network.')
_RUNS = flags.DEFINE_integer('runs', 20, 'Number of timed requests per side.', lower_bound=1)

_OURS, _FLOAT32, _VARIABLE, _PEER = 'ours', 'ours, float32', 'ours, float32 variables', "Model Garden's export"
_SPREAD, _OVER = 1.3, 0.01  # Of the logits; share of the (anchor, class) pairs over the threshold.


class _PeerModule(detection.DetectionModule):
  """Model Garden's export with the corrected decoder."""

  def _build_model(self):
    return model_garden.build_model(self.params.task, 'corrected', self._batch_size)


def enliven(model: tf_keras.Model, images: tf.Tensor) -> None:
  """Gives an untrained model batch norms and scores like those of a trained one.

  TensorFlow would leave out the biases of untrained batch norms, which are zero, and NMS would have no candidates.
  """
  rng = np.random.default_rng(1)
  for variable in model.variables:
    if '/beta' in variable.name:  # So small that what the image says is not lost in rounding.
      variable.assign(rng.normal(0.0, 1e-5, variable.shape))
  classifier = model.head._classifier
  # Without the bias, beside which what an untrained network says is lost in rounding.
  classifier.bias.assign(tf.zeros_like(classifier.bias))
  outputs = model(images, training=False)['cls_outputs']
  logits = np.concatenate([np.ravel(output) for output in outputs.values()]).astype(np.float64)
  scale = _SPREAD / logits.std()
  kernel = classifier.pointwise_kernel if _SEPARABLE.value else classifier.kernel
  kernel.assign(kernel * scale)
  bias = np.log(0.05 / 0.95) - scale * np.quantile(logits, 1 - _OVER)
  classifier.bias.assign(np.full(classifier.bias.shape, bias, np.float32))


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'unexpected argument {argv[1]!r}; flags begin with --.')
  size = _IMAGE_SIZE.value
  model_config = compared.model_config(
    _BACKBONE.value, _MODEL_ID.value, _NUM_REPEATS.value, _NUM_FILTERS.value, _SEPARABLE.value, size
  )
  # As many candidates as Model Garden takes: among fewer, all may overlap the best.
  model_config['detection_generator'] = {'pre_nms_top_k': 5000}
  params = params_lib.load_params(params_override={'task': {'model': model_config}})
  tf_keras.utils.set_random_seed(1)
  model = detector.build_detector(params.task.model)
  with tempfile.TemporaryDirectory() as directory:
    image_dir, _ = synthetic_images.write_coco(directory, 1)
    encoded = pathlib.Path(image_dir, '000001.jpg').read_bytes()
    image, image_info = preprocess.letterbox(tf.io.decode_jpeg(encoded), (size, size))
    enliven(model, image[tf.newaxis])

    directories = {name: f'{directory}/{number}' for number, name in enumerate((_OURS, _FLOAT32, _VARIABLE, _PEER))}
    with precision.computing_in(_DTYPE.value):
      chosen = detector.build_detector(params.task.model)
    chosen.set_weights(model.get_weights())
    for name in (_OURS, _FLOAT32, _VARIABLE):
      built = chosen if name == _OURS else model
      module = anytime_module.build(built, (size, size), 1, keep_aspect_ratio=True, frozen=name != _VARIABLE)
      tf.saved_model.save(module, directories[name], signatures=module.signatures('image_bytes'))

    theirs = model_garden.task_config(params.task)
    theirs.model.detection_generator.nms_version = _NMS.value
    peer = _PeerModule(
      params=cfg.ExperimentConfig(task=theirs),
      batch_size=1,
      input_image_size=[size, size],
      input_type='image_bytes',
    )
    model_garden.copy_weights(model, peer.model)
    export_saved_model_lib.export_inference_graph(
      'image_bytes', 1, [size, size], peer.params, None, directories[_PEER], export_module=peer
    )
    sides = {name: tf.saved_model.load(path).signatures['serving_default'] for name, path in directories.items()}
    request = tf.constant([encoded])
    found = {name: {key: value.numpy()[0] for key, value in side(request).items()} for name, side in sides.items()}
    counts = [int(found[name]['num_detections']) for name in (_OURS, _FLOAT32)]
    error = np.abs(np.subtract(*(found[name]['detection_scores'][: min(counts)] for name in (_OURS, _FLOAT32)))).max()
    print(f'{_DTYPE.value}: {counts[0]} detections, in float32 {counts[1]}; scores differ by {error:.2g} at most')
    for name in (_FLOAT32, _VARIABLE):
      _require_same(found[name], found[_PEER], image_info.numpy())
    timed = {name: (lambda side=side: side(request)['num_detections'].numpy()) for name, side in sides.items()}
    network = tf.saved_model.load(directories[_OURS]).signatures['raw']
    pixels = preprocess.MEAN + image[tf.newaxis] * preprocess.STDDEV
    timed['ours, network alone'] = lambda: network(inputs=pixels)['decoded_box_scores'].numpy()
    samples = side_by_side.interleave(timed, _RUNS.value, warm_up=3)
  side_by_side.report(samples, {_PEER: 0.5})


def _require_same(ours, theirs, image_info):
  """Ends the benchmark unless the best detections are the same.

  Model Garden's boxes are in pixels of the network's input and reach into its padding; ours end with the image. Boxes
  without area are among the detections of Model Garden; here others take their places, with lower scores.
  """
  boxes = np.minimum(theirs['detection_boxes'] / np.tile(image_info[2], 2), np.tile(image_info[0], 2))
  boxes = boxes[: int(theirs['num_detections'])]
  inside = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
  boxes, scores = boxes[inside], theirs['detection_scores'][: len(inside)][inside]
  count, found = len(boxes), int(ours['num_detections'])
  side_by_side.require(count >= 10, f'only {count} detections: nothing to compare.')
  side_by_side.require(found >= count, f'{found} and {count} detections.')
  error = np.abs(ours['detection_scores'][:count] - scores).max()
  side_by_side.require(error < 1e-3, f'scores differ by {error}.')
  # Where scores tie, the order of two detections is free.
  same = np.isclose(ours['detection_boxes'][:count], boxes, atol=0.05).all(axis=1)
  side_by_side.require(same.mean() > 0.95, f'{np.count_nonzero(~same)} of {count} boxes differ.')
  print(f'{count} detections, {np.count_nonzero(~same)} in another order')


if __name__ == '__main__':
  app.run(main)
