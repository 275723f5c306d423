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

"""Measures the Keras model as a graph; the time of a part is the difference of two graphs, cut before and after it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nasfpn_tf.frontier import keras_model, timing
from nasfpn_tf.frontier.fitting import fit
from nasfpn_tf.frontier.record import PARTS


def measure(request: Mapping[str, Any], image: np.ndarray) -> dict[str, Any]:
  """Measures what a request asks for; see `worker`."""
  keras_model.limit_threads(request['threads'])  # Before anything of TensorFlow's runs.
  from nasfpn_tf import zoo
  from nasfpn_tf.data.input import preprocess
  from nasfpn_tf.modeling import precision

  dtype = request.get('dtype', precision.FLOAT32)
  if dtype == precision.AUTO:
    from nasfpn_tf.predict import checkpoint

    dtype = checkpoint.CheckpointPredictor(request['path'], request['checkpoint'], dtype).dtype
  memory = timing.PeakMemory()
  model = zoo.load_detector(request['path'], request['checkpoint'], dtype=dtype)
  if request['exit_stage']:
    model = model.at_exit(request['exit_stage'])
  size = tuple(zoo.load_experiment(request['path']).task.model.input_size[:2])
  images = preprocess.normalize(tf.constant(fit(image, size)[np.newaxis]))
  shape = tf.constant([size], tf.float32)

  def graph(function):
    compiled = tf.function(function)
    return lambda: tf.nest.map_structure(lambda output: output.numpy(), compiled())

  def neck():
    features = model.backbone(images, training=False)
    return features if model.decoder is None else model.decoder(features, training=False)

  whole = graph(lambda: model(images, image_shape=shape, training=False))
  alone = timing.take_turns({'whole': whole}, request['runs'])['whole']
  result = {'dtype': dtype, 'peak_memory_bytes': memory.bytes(), 'latency_ms': alone}
  if getattr(model, 'num_exits', 1) == 1:
    ways = {
      'backbone': graph(lambda: model.backbone(images, training=False)),
      'neck': graph(neck),
      'head': graph(lambda: model.head(neck(), training=False)),
      'post_processing': whole,
    }
    ends = timing.take_turns(ways, request['runs'])
    result['parts_ms'] = timing.differences({part: ends[part].median for part in PARTS})
  return {**result, **keras_model.count(model, size)}
