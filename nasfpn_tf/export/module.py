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

"""Wraps a detector for serving: images of any size in, boxes in pixels of these images out.

Model Garden's `DetectionModule` is not subclassed: it makes `tf.saved_model.save` serialize every Keras layer with its
call functions, none of which serving uses, it takes only encoded images of one size per request, and its boxes stay
in pixels of the network's input. Its names are kept: signatures `image_tensor`, `image_bytes` and `tf_example`, input
`inputs`, outputs `detection_boxes`, `detection_scores`, `detection_classes`, `num_detections` and `image_info`.
"""

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras
from official.vision.ops import anchor

from nasfpn_tf.artifacts.signatures import IMAGE_TENSOR, INPUT_TYPES, RAW
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.export import freezing
from nasfpn_tf.modeling import postprocess

# A graph that computes no gradients; swish's own cannot be saved out of a frozen one.
NO_GRADIENTS = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
# Upsampling and swish have gradients of their own: without them nobody can train on what is loaded.
WITH_GRADIENTS = tf.saved_model.SaveOptions(experimental_custom_gradients=True)
# How files of the formats that TensorFlow decodes start, and what they have where they are not cut off.
_STARTS = {b'\xff\xd8\xff': b'\xff\xd9', b'\x89PNG': b'IEND', b'GIF8': b'', b'BM': b''}
_DEFAULT_KEY = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


class DetectionModule(tf.Module):
  """A detector with its preprocessing, ready for `tf.saved_model.save`.

  The module tracks the model's variables under the names that a training checkpoint gives them, and no Keras layer:
  `modeling.weights.restore.restore(model, saved_model_dir + '/variables/variables')` takes the weights out again.
  """

  def __init__(
    self,
    model: tf_keras.Model,
    input_size: Sequence[int],
    batch_size: int | None = None,
    keep_aspect_ratio: bool = True,
    frozen: bool = False,
  ):
    """Wraps `model`, a detector as `build_detector` makes it.

    Args:
      model: the detector.
      input_size: height and width of the network's input; images are letterboxed to it.
      batch_size: number of images in a request; None: any number.
      keep_aspect_ratio: False stretches images instead, for a model that was trained so.
      frozen: store the weights as constants of the graph, where TensorFlow folds and rearranges them beforehand; then
        the module tracks no variable.
    """
    super().__init__(name='detector')
    self._frozen = frozen
    if not frozen:
      for name, item in model.checkpoint_items.items():
        setattr(self, name, variable_tree(item))
    self._input_size = tuple(input_size[:2])
    self._keep_aspect_ratio = keep_aspect_ratio
    self._batch_size = batch_size
    self._anchors = anchor_boxes(model, self._input_size)
    options = model.detection_generator.get_config()
    self._box_coder = {
      'box_coder_weights': options.get('box_coder_weights'),
      'box_coder_plus_one': bool(options.get('box_coder_plus_one')),
    }
    self._images_spec = tf.TensorSpec([batch_size, *self._input_size, 3], tf.float32, name='images')
    # Each is stored once, however many signatures call it; as an attribute of the module it would be once more.
    self._parts = self._build_parts(model)
    self._detect = tf.function(
      self._detect_letterboxed,
      input_signature=[self._images_spec, tf.TensorSpec([batch_size, 4, 2], tf.float32, name='image_info')],
    )

  def signatures(self, input_type: str = 'image_bytes') -> dict[str, Callable]:
    """Returns the signatures by name.

    Args:
      input_type: the one of `INPUT_TYPES` that is also `serving_default`.

    Returns:
      `image_tensor` (uint8 [batch, height, width, 3], RGB), `image_bytes` (string [batch], JPEG, PNG, GIF or BMP) and
      `tf_example` (string [batch], serialized, the image in 'image/encoded') give what `detect` gives; `raw`
      (float32 [batch, input height, input width, 3]) gives what `raw` gives.

    Raises:
      ValueError: `input_type` is not one of `INPUT_TYPES`.
    """
    if input_type not in INPUT_TYPES:
      raise ValueError(f'input_type {input_type!r} is not one of {", ".join(INPUT_TYPES)}.')
    batch = self._batch_size
    specs = {
      IMAGE_TENSOR: (self.detect, tf.TensorSpec([batch, None, None, 3], tf.uint8, name='inputs')),
      'image_bytes': (self.detect_bytes, tf.TensorSpec([batch], tf.string, name='inputs')),
      'tf_example': (self.detect_examples, tf.TensorSpec([batch], tf.string, name='inputs')),
      RAW: (self.raw, tf.TensorSpec([batch, *self._input_size, 3], tf.float32, name='inputs')),
    }
    functions = {key: tf.function(function).get_concrete_function(spec) for key, (function, spec) in specs.items()}
    return {**functions, _DEFAULT_KEY: functions[input_type]}

  def detect(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Finds objects in images of one size.

    Args:
      inputs: uint8 [batch, height, width, 3], RGB, any height and width.

    Returns:
      `detection_boxes` float32 [batch, N, 4] (ymin, xmin, ymax, xmax in pixels of the image), `detection_scores`
      float32 [batch, N], `detection_classes` int32 [batch, N] (labels, from 1), all best first and zero after
      `num_detections` int32 [batch]; `image_info` float32 [batch, 4, 2] (original size, scaled size, scale, offset).
    """
    return self._map(lambda image: image, inputs)

  def detect_bytes(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Finds objects in encoded images (string [batch]), which may differ in size; returns what `detect` returns."""
    return self._map(_decode, _checked(inputs))

  def detect_examples(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Finds objects in serialized tf.train.Examples (string [batch]); returns what `detect` returns."""
    return self._map(_decode, _checked(_encoded(inputs)))

  def raw(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    """Computes the outputs of the heads before NMS, with static shapes and without image decoding, for other runtimes.

    Args:
      inputs: float32 [batch, input height, input width, 3], RGB, 0 to 255, letterboxed: scaled to fit, at the top
        left, the rest filled with `preprocess.MEAN`.

    Returns:
      `box_encodings` [batch, num_anchors, 4] (dy, dx, dh, dw relative to the anchors), `class_logits` [batch,
      num_anchors, num_classes - 1] without background, `decoded_boxes` [batch, num_anchors, 4] (yxyx in pixels of
      the input, not clipped) and `decoded_box_scores` [batch, num_anchors, num_classes - 1].
    """
    return self._raw(self._parts.network(preprocess.normalize(inputs)))

  def image_spec(self, dtype: tf.DType) -> tf.TensorSpec:
    """Returns the TensorSpec of one letterboxed image, `inputs`."""
    return tf.TensorSpec([1, *self._input_size, 3], dtype, name='inputs')

  def _raw(self, outputs: Mapping[str, Mapping[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
    """Computes the outputs of `raw` from the outputs of the heads."""
    heads = outputs['cls_outputs'], outputs['box_outputs'], self._anchors
    logits, encodings, _ = postprocess.flatten_levels(*heads)
    boxes, scores = postprocess.decode_raw(*heads, **self._box_coder)
    return {
      'box_encodings': encodings,
      'class_logits': logits,
      'decoded_boxes': boxes,
      'decoded_box_scores': scores,
    }

  def _map(self, to_image: Callable[[tf.Tensor], tf.Tensor], inputs: tf.Tensor) -> dict[str, tf.Tensor]:
    return self._detect(*self._letterbox(to_image, inputs))

  def _letterbox(self, to_image: Callable[[tf.Tensor], tf.Tensor], inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Letterboxes the images of a request, each by itself since sizes may differ; returns them and image_info."""
    return tf.map_fn(
      lambda element: preprocess.letterbox(to_image(element), self._input_size, self._keep_aspect_ratio),
      inputs,
      fn_output_signature=(tf.TensorSpec([*self._input_size, 3], tf.float32), tf.TensorSpec([4, 2], tf.float32)),
    )

  def _build_parts(self, model: tf_keras.Model) -> Any:
    """Builds the functions behind the signatures, as closures since attributes would track Keras layers."""

    def network(images: tf.Tensor) -> Mapping[str, Mapping[str, tf.Tensor]]:
      outputs = model(images, training=False)
      return {key: outputs[key] for key in ('cls_outputs', 'box_outputs')}

    (shared,) = self._shared((network, self._images_spec))
    return types.SimpleNamespace(network=shared, suppress=self._suppression(model))

  def _suppression(self, model: tf_keras.Model) -> Callable:
    """Returns the function from the outputs of the heads to detections."""

    def suppress(outputs: Mapping[str, Mapping[str, tf.Tensor]], image_info: tf.Tensor) -> dict[str, tf.Tensor]:
      anchors = {level: tf.tile(boxes, [tf.shape(image_info)[0], 1, 1, 1]) for level, boxes in self._anchors.items()}
      heads = outputs['box_outputs'], outputs['cls_outputs']
      return self._to_original(model.detection_generator(*heads, anchors, image_info[:, 1]), image_info)

    return tf.function(suppress)

  def _shared(self, *parts: tuple[Callable, Any]) -> list[Callable]:
    """Wraps functions so that signatures call them without copying, with variables or, if frozen, with constants.

    Args:
      *parts: each function with the specification of its argument.
    """
    functions = [tf.function(function, input_signature=(spec,)) for function, spec in parts]
    return freezing.freeze(functions) if self._frozen else functions

  def _detect_letterboxed(self, images: tf.Tensor, image_info: tf.Tensor) -> dict[str, tf.Tensor]:
    return self._parts.suppress(self._parts.network(images), image_info)

  def _to_original(self, outputs: Mapping[str, tf.Tensor], image_info: tf.Tensor) -> dict[str, tf.Tensor]:
    """Converts a model's detections to the outputs of the signatures."""
    return {**detections_in_image(outputs, image_info), 'image_info': image_info}


def detections_in_image(outputs: Mapping[str, tf.Tensor], image_info: tf.Tensor) -> dict[str, tf.Tensor]:
  """Converts detections from pixels of the network's input to pixels of the image; drops those outside the image.

  What lies in the padding of the letterbox has no area once it is clipped to the image: the others move up.

  Args:
    outputs: `detection_boxes` [batch, N, 4], `detection_scores` and `detection_classes` [batch, N], and
      `num_detections` [batch].
    image_info: [batch, 4, 2], how the images were letterboxed, see `preprocess.geometry`.

  Returns:
    The same, zero after `num_detections`; classes and their number are int32.
  """
  boxes = to_original(outputs['detection_boxes'], image_info)
  number = boxes.shape[1]
  keep = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=-1)
  keep &= tf.range(number) < tf.cast(outputs['num_detections'], tf.int32)[:, tf.newaxis]
  # Among equals the first comes first, so the kept ones stay in their order.
  kept, order = tf.math.top_k(tf.cast(keep, tf.int32), number)

  def gather(values):
    return tf.gather(values, order, batch_dims=1)

  return {
    'detection_boxes': tf.where(kept[..., tf.newaxis] > 0, gather(boxes), 0.0),
    'detection_scores': tf.where(kept > 0, gather(outputs['detection_scores']), 0.0),
    'detection_classes': tf.where(kept > 0, gather(tf.cast(outputs['detection_classes'], tf.int32)), 0),
    'num_detections': tf.reduce_sum(kept, axis=1),
  }


def to_original(boxes: tf.Tensor, image_info: tf.Tensor) -> tf.Tensor:
  """Converts boxes [batch, N, 4] (yxyx) from pixels of the network's input to pixels of the image and clips them."""
  size, scale, offset = (tf.tile(image_info[:, i : i + 1], [1, 1, 2]) for i in (0, 2, 3))
  return tf.clip_by_value((boxes + offset) / scale, 0.0, size)


def anchor_boxes(model: tf_keras.Model, input_size: Sequence[int]) -> dict[str, tf.Tensor]:
  """Computes anchors {level: [1, height_l, width_l, 4 * anchors_per_location]}, yxyx in pixels of the input."""
  config = model.get_config()
  generator = anchor.build_anchor_generator(
    config['min_level'], config['max_level'], config['num_scales'], config['aspect_ratios'], config['anchor_size']
  )
  return {level: boxes[tf.newaxis] for level, boxes in generator(tuple(input_size[:2])).items()}


def variables_alone(exported: tf.Module) -> tf.Module:
  """Returns a module that tracks the variables of `exported` and nothing else.

  It is what TFLite's converter, which saves a module together with the functions to convert, is given: it would trace
  every function of `exported` as well.
  """
  carrier = tf.Module()
  carrier.weights = list(exported.variables)
  return carrier


def variable_tree(trackable: Any) -> tf.Module:
  """Copies the variables of a Keras object into plain nodes with the structure that checkpoints use.

  Saving plain nodes skips the serialization of Keras layers, which takes most of the time and of the file.
  """
  view, nodes = tf.train.TrackableView(trackable), {}

  def copy(item):
    if isinstance(item, tf.Variable):
      return item
    if id(item) not in nodes:
      node = nodes[id(item)] = tf.Module()
      for name, child in view.children(item).items():
        setattr(node, name, copy(child))
    return nodes[id(item)]

  return copy(trackable)


def _checked(encoded: tf.Tensor) -> tf.Tensor:
  """Returns encoded images (string [batch]); fails with the numbers of those that are none."""
  whole = tf.zeros_like(encoded, tf.bool)
  for start, end in _STARTS.items():
    fits = tf.strings.substr(encoded, 0, len(start)) == start
    if end:  # Regular expressions would take the bytes for UTF-8.
      fits &= tf.strings.split(encoded, end).row_lengths() > 1
    whole |= fits
  message = tf.strings.format(
    'images {} of the request (counted from 0) are no whole JPEG, PNG, GIF or BMP: send the others without them',
    tf.reshape(tf.where(~whole), [-1]),
  )
  with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(whole), [message])]):
    return tf.identity(encoded)


def _decode(encoded: tf.Tensor) -> tf.Tensor:
  image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
  image.set_shape([None, None, 3])
  return image


def _encoded(examples: tf.Tensor) -> tf.Tensor:
  features = {'image/encoded': tf.io.FixedLenFeature([], tf.string, default_value='')}
  return tf.io.parse_example(examples, features)['image/encoded']
