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

"""Runs the Keras model of a training's checkpoint as a predictor."""

import threading
from collections.abc import Sequence

import tensorflow as tf
import tf_keras
from absl import logging

from nasfpn_tf import zoo
from nasfpn_tf.artifacts.signatures import FIELDS
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.data.records import label_names
from nasfpn_tf.modeling import precision
from nasfpn_tf.predict.predictor import Predictor, to_image


class CheckpointPredictor(Predictor):
  """The Keras model.

  Attributes:
    dtype: that the network computes in, float32 or bfloat16.

  Safe to share between threads, which wait for one another: the first call traces the model, which is one for all.
  """

  def __init__(self, model_dir: str, checkpoint: str | None = None, dtype: str = precision.FLOAT32):
    """Loads `checkpoint`, or the best of `model_dir`; `dtype` is one of `precision.DTYPES`."""
    if dtype not in precision.DTYPES:
      raise ValueError(f'the precision {dtype!r} is not one of {", ".join(precision.DTYPES)}.')
    params = zoo.load_experiment(model_dir)
    super().__init__(label_names.of_model(model_dir, params.task.model.num_classes, params.task.train_data.input_path))
    self._lock = threading.Lock()
    size = tuple(params.task.model.input_size[:2])
    model, self.dtype = _load(model_dir, checkpoint, dtype, size)
    keep_aspect_ratio = params.task.validation_data.parser.keep_aspect_ratio

    self.num_exits = getattr(model, 'num_exits', 1)
    image_spec = tf.TensorSpec([None, None, 3], tf.uint8)

    @tf.function(input_signature=[image_spec])
    def detect(image):
      pixels, image_info = preprocess.letterbox(image, size, keep_aspect_ratio)
      outputs = model(pixels[tf.newaxis], image_shape=image_info[tf.newaxis, 1], training=False)
      return outputs, image_info

    @tf.function(input_signature=[image_spec])
    def begin(image):
      pixels, image_info = preprocess.letterbox(image, size, keep_aspect_ratio)
      return model.begin(pixels[tf.newaxis], image_info[tf.newaxis, 1]), image_info

    self._run, self._run_begin = detect, begin
    if self.num_exits > 1:
      self._run_refine, self._run_finish = tf.function(model.refine), tf.function(model.detect)

  def _detect(self, image):
    with self._lock:
      outputs = self._run(tf.constant(image))
    return self._first(*outputs)

  def _begin(self, image):
    with self._lock:
      return self._run_begin(tf.constant(image))

  def _refine(self, value, exit_stage):
    state, image_info = value
    with self._lock:
      return self._run_refine(state), image_info

  def _finish(self, value, exit_stage):
    state, image_info = value
    with self._lock:
      outputs = self._run_finish(state)
    return self._first(outputs, image_info)

  def _first(self, outputs, image_info):
    """Returns the detections of the only image of a batch."""
    count = int(outputs['num_detections'][0])
    boxes, scores, classes = (outputs[f'detection_{key}'][0, :count].numpy() for key in FIELDS)
    return to_image(boxes, image_info.numpy()), scores, classes


def _load(model_dir: str, checkpoint: str | None, dtype: str, size: Sequence[int]) -> tuple[tf_keras.Model, str]:
  """Loads the model in a precision, for 'auto' in the faster one on this machine; returns it and the precision."""
  if dtype == precision.AUTO:
    dtype, why = precision.of_device()
    if dtype != precision.FLOAT32:
      models = {name: zoo.load_detector(model_dir, checkpoint, dtype=name) for name in (precision.FLOAT32, dtype)}
      images = tf.zeros([1, *size, 3])

      def run(model):
        network = tf.function(lambda: model(images, training=False)['detection_boxes'])
        return lambda: network().numpy()

      dtype, medians = precision.fastest({name: run(model) for name, model in models.items()})
      logging.warning('%s: %s', model_dir, precision.described(dtype, medians))
      return models[dtype], dtype
    logging.warning('%s: %s, %s', model_dir, dtype, why)
  return zoo.load_detector(model_dir, checkpoint, dtype=dtype), dtype
