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

"""TFLite files: static shape, builtin operators, run and compared with the Keras model before they get their name.

A file takes one letterboxed picture, [1, height, width, 3], RGB, 0 to 255; normalisation is inside. It ends in the
operator TFLite_Detection_PostProcess (non-maximum suppression, as MediaPipe's ObjectDetector wants it), or, without it,
in the scores and box encodings of all anchors.
"""

import dataclasses
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from ai_edge_litert.interpreter import Interpreter

from nasfpn_tf.export import calibration, metadata, module, verification
from nasfpn_tf.export.source import Source

# Largest error of a score (0 to 1) that is a property of the arithmetic, not a fault. An untrained or a badly
# calibrated network goes beyond it.
SCORE_TOLERANCE = {'none': verification.TOLERANCE, 'fp16': 0.05, 'dynamic': 0.3, 'int8': 0.5}
QUANT_TYPES = tuple(SCORE_TOLERANCE)
INPUT_DTYPES = {'float32': tf.float32, 'uint8': tf.uint8}

# Concatenation would force one scale on all levels, a quantised sigmoid has steps of 1/256: both run in float, and with
# them what follows.
_FLOAT_OPS = ['CONCATENATION', 'LOGISTIC']
_OUTPUTS = ('detection_boxes', 'detection_classes', 'detection_scores', 'num_detections')


@dataclasses.dataclass(frozen=True)
class Options:
  """How to convert.

  Attributes:
    quant_type: 'none' (float32), 'fp16' (weights in half precision), 'dynamic' (weights in int8, activations in float)
      or 'int8' (both in int8, with calibration; sigmoid and everything after it in float).
    nms: end in TFLite_Detection_PostProcess; otherwise the file gives `box_encodings` and `class_scores`.
    input_dtype: 'float32' or 'uint8'.
    tolerance: largest error of a score; None: `SCORE_TOLERANCE`.
  """

  quant_type: str = 'none'
  nms: bool = True
  input_dtype: str = 'float32'
  tolerance: float | None = None

  def __post_init__(self):
    if self.quant_type not in QUANT_TYPES:
      raise ValueError(f'quant_type {self.quant_type!r} is not one of {", ".join(QUANT_TYPES)}.')
    if self.input_dtype not in INPUT_DTYPES:
      raise ValueError(f'input_dtype {self.input_dtype!r} is not one of {", ".join(INPUT_DTYPES)}.')


def export_tflite(
  source: Source, tflite_path: str, options: Options | None = None, images: Sequence[np.ndarray] = ()
) -> dict[str, Any]:
  """Converts a detector, compares the file with it, and writes the file and its JSON.

  Args:
    source: the detector.
    tflite_path: file to write, '.tflite'; an existing one is replaced once the new one has passed.
    options: how to convert.
    images: uint8 [height, width, 3] pictures; 'int8' is calibrated with them, and the first few check the result.
      Without any, two photographs check it.

  Returns:
    What the JSON file holds: size, operators, signature, quantisation, labels, post-processing, errors.

  Raises:
    VerificationError: weights are not finite, or the file says something else than the model. Nothing is written.
    ValueError: an argument that cannot be.
  """
  options = options or Options()
  if not tflite_path.endswith('.tflite'):
    raise ValueError(f'{tflite_path}: the file name must end in .tflite.')
  if options.quant_type == 'int8' and len(images) < calibration.MIN_IMAGES:
    raise ValueError(
      f'int8 needs pictures to calibrate with, at least {calibration.MIN_IMAGES}, and there are {len(images)}.'
    )
  expected = verification.reference(source, images[:4])
  inputs = calibration.to_inputs(images, source.input_size, source.keep_aspect_ratio)
  content = convert(source.model, source.input_size, options, inputs)
  metadata.check_portable(content)
  errors = _verify(content, expected, options)
  facts = {
    'source': source.origin,
    'quant_type': options.quant_type,
    'size_bytes': len(content),
    'input_size': list(source.input_size),
    'keep_aspect_ratio': source.keep_aspect_ratio,
    **metadata.signature(content),
    'nms': options.nms,
    'post_processing': _post_processing(source.model),
    'anchors': _anchors(source.model),
    'labels': [dict(label) for label in source.labels],
    'calibration_images': len(images) if options.quant_type == 'int8' else 0,
    'checked_images': len(expected.images),
    'max_error': errors,
    'ops': metadata.count_ops(content),
  }
  _write(tflite_path, content, facts)
  logging.info('%s: %d bytes, largest errors %s', tflite_path, len(content), errors)
  return facts


def convert(
  model: Any, input_size: Sequence[int], options: Options, calibration_inputs: Sequence[np.ndarray] = ()
) -> bytes:
  """The content of a .tflite.

  Args:
    model: the detector.
    input_size: height and width.
    options: how to convert.
    calibration_inputs: float32 [1, height, width, 3] pictures, 0 to 255, for 'int8'.
  """
  exported = module.DetectionModule(model, input_size, batch_size=1)
  tail = _post_process_tail(model, input_size) if options.nms else _raw_tail
  dtype = INPUT_DTYPES[options.input_dtype]

  @tf.function(input_signature=[tf.TensorSpec([1, *input_size, 3], dtype, name='inputs')])
  def detect(inputs):
    raw = exported.raw(tf.cast(inputs, tf.float32))
    return tail(raw['box_encodings'], tf.sigmoid(raw['class_logits']))

  converter = tf.lite.TFLiteConverter.from_concrete_functions([detect.get_concrete_function()], exported)
  converter.allow_custom_ops = options.nms
  if options.quant_type != 'none':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
  if options.quant_type == 'fp16':
    converter.target_spec.supported_types = [tf.float16]
  if options.quant_type == 'int8':

    def representative_dataset():
      for inputs in calibration_inputs:
        yield [tf.saturate_cast(tf.round(inputs), dtype).numpy() if dtype.is_integer else inputs]

    content = _quantize(converter, representative_dataset)
  else:
    content = converter.convert()
  if options.nms:
    content = metadata.fix_post_process_outputs(content, _post_processing(model)['max_detections'])
  return content


def run(content: bytes, inputs: np.ndarray) -> dict[str, np.ndarray]:
  """Runs a file on one letterboxed picture.

  Args:
    content: the file's content.
    inputs: float32 [1, height, width, 3], 0 to 255; rounded where the file takes uint8.

  Returns:
    The outputs of its signature, and in any case `box_encodings` and `class_scores`.
  """
  with warnings.catch_warnings():
    # It warns of the memory that keeping the inputs of the post-processing costs.
    warnings.simplefilter('ignore', UserWarning)
    interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
  runner = interpreter.get_signature_runner()
  detail = runner.get_input_details()['inputs']
  if np.issubdtype(detail['dtype'], np.integer):
    inputs = np.clip(np.rint(inputs), 0, 255)
  outputs = dict(runner(inputs=inputs.astype(detail['dtype'])))
  for name, index in zip(('box_encodings', 'class_scores'), metadata.post_process_inputs(content), strict=False):
    outputs[name] = interpreter.get_tensor(index)
  return outputs


def _raw_tail(box_encodings: tf.Tensor, class_scores: tf.Tensor) -> dict[str, tf.Tensor]:
  return {'box_encodings': box_encodings, 'class_scores': class_scores}


def _post_process_tail(model: Any, input_size: Sequence[int]):
  """The function that the converter replaces by TFLite_Detection_PostProcess with this model's settings."""
  settings = _post_processing(model)
  scales = settings['box_coder_weights'] or [1.0] * 4
  attributes = {
    'max_detections': ('i', settings['max_detections']),
    'max_classes_per_detection': ('i', 1),
    # Class by class, as the model does it; the fast variant keeps one class a box.
    'detections_per_class': ('i', settings['max_detections']),
    'use_regular_nms': ('b', 'true'),
    'nms_score_threshold': ('f', settings['score_threshold']),
    'nms_iou_threshold': ('f', settings['iou_threshold']),
    'y_scale': ('f', scales[0]),
    'x_scale': ('f', scales[1]),
    'h_scale': ('f', scales[2]),
    'w_scale': ('f', scales[3]),
    'num_classes': ('i', settings['num_classes']),
  }
  implements = f'name: "{metadata.POST_PROCESS}" ' + ' '.join(
    f'attr {{ key: "{key}" value {{ {kind}: {value} }} }}' for key, (kind, value) in attributes.items()
  )
  anchors = _center_size_anchors(model, input_size)

  @tf.function(experimental_implements=implements)
  def post_process(box_encodings, class_scores, anchors):
    del box_encodings, class_scores, anchors  # The operator's arguments.
    return tuple(tf.constant(0.0, name=name) for name in _OUTPUTS)

  def tail(box_encodings, class_scores):
    return dict(zip(_OUTPUTS, post_process(box_encodings, class_scores, tf.constant(anchors)), strict=True))

  return tail


def _center_size_anchors(model: Any, input_size: Sequence[int]) -> np.ndarray:
  """Anchors float32 [num_anchors, 4] as the operator wants them: y, x of the centre, height, width, 1 = the input."""
  levels = module.anchor_boxes(model, input_size).values()
  corners = np.concatenate([boxes.numpy().reshape(-1, 4) for boxes in levels]) / np.tile(input_size, 2)
  low, high = corners[:, :2], corners[:, 2:]
  return np.concatenate([(low + high) / 2, high - low], axis=1).astype(np.float32)


def _quantize(converter: tf.lite.TFLiteConverter, representative_dataset: Any) -> bytes:
  """Quantises to int8 what gains by it; the normalisation and the operators of `_FLOAT_OPS` stay in float.

  The converter's own switch quantises all or nothing; its debugger takes exceptions.
  """
  converter.representative_dataset = representative_dataset
  options = tf.lite.experimental.QuantizationDebugOptions
  with warnings.catch_warnings():
    # TensorFlow's debugger warns that TensorFlow's interpreter is deprecated.
    warnings.simplefilter('ignore', UserWarning)
    debugger = tf.lite.experimental.QuantizationDebugger(
      converter=converter,
      debug_dataset=representative_dataset,
      debug_options=options(denylisted_ops=_FLOAT_OPS),
    )
    preprocessing = metadata.names_before_first_convolution(debugger.calibrated_model)
    debugger.options = options(denylisted_ops=_FLOAT_OPS, denylisted_nodes=preprocessing)
  return debugger.get_nondebug_quantized_model()


def _post_processing(model: Any) -> dict[str, Any]:
  """The model's post-processing in numbers; a ValueError where TFLite_Detection_PostProcess has no counterpart."""
  options = model.detection_generator.get_config()
  for name in ('soft_nms_sigma', 'use_class_agnostic_nms'):
    if options.get(name):
      raise ValueError(f'detection_generator.{name} is not to be had in TFLite.')
  head = model.head.get_config()
  return {
    'num_classes': int(head['num_classes']) - 1,
    'score_threshold': float(options['pre_nms_score_threshold']),
    'iou_threshold': float(options['nms_iou_threshold']),
    'max_detections': int(options['max_num_detections']),
    'pre_nms_top_k': int(options['pre_nms_top_k']),
    'box_coder_weights': options.get('box_coder_weights'),
  }


def _anchors(model: Any) -> dict[str, Any]:
  """What the anchors follow from, for clients that decode the raw outputs."""
  config = model.get_config()
  return {key: config[key] for key in ('min_level', 'max_level', 'num_scales', 'aspect_ratios', 'anchor_size')}


def _verify(content: bytes, expected: verification.Reference, options: Options) -> dict[str, float]:
  """Runs the file on the reference's pictures; returns the largest error of each raw output."""
  errors = {'box_encodings': 0.0, 'class_scores': 0.0}
  for row in range(len(expected.images)):
    outputs = run(content, expected.inputs[row : row + 1])
    for name in errors:
      error = verification.max_error(getattr(expected, name)[row], outputs[name][0])
      errors[name] = float(np.maximum(errors[name], error))  # Unlike max(), keeps a NaN.
  what = f'The TFLite file ({options.quant_type})'
  tolerance = options.tolerance or SCORE_TOLERANCE[options.quant_type]
  verification.check_errors({'class_scores': errors['class_scores']}, tolerance, what)
  exact = options.quant_type == 'none' and options.input_dtype == 'float32'
  limit = verification.TOLERANCE if exact else np.finfo(np.float32).max
  verification.check_errors({'box_encodings': errors['box_encodings']}, limit, what)
  return errors


def _write(path: str, content: bytes, facts: Mapping[str, Any]) -> None:
  """Both files or none: the sidecar first, the model under its name last."""
  os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
  partial = path + '.partial'
  with open(partial, 'wb') as file:
    file.write(content)
  metadata.write_sidecar(path, facts)
  os.replace(partial, path)
