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

"""Exports TFLite files with static shapes and builtin operators, verified against the Keras model.

A file takes one letterboxed image, [1, height, width, 3], RGB, 0 to 255; normalization is inside. It returns
detections, or, without NMS, the scores and box encodings of all anchors; see `suppression`.
"""

import contextlib
import dataclasses
import hashlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging
from ai_edge_litert.interpreter import Interpreter

from nasfpn_tf.artifacts import layout, signatures, tflite_files, tflite_runner
from nasfpn_tf.export import (
  anytime_module,
  anytime_tflite,
  calibration,
  metadata,
  model_metadata,
  module,
  output_order,
  quantization,
  sharing,
  suppression,
  verification,
)
from nasfpn_tf.export.source import Source
from nasfpn_tf.modeling import cost

# Largest error of a score (0 to 1) that is a property of the arithmetic, not a fault. An untrained or a badly
# calibrated network goes beyond it.
# Folded batch norms add large terms that nearly cancel: of a trained MobileNetV2 detector a score in thousands differs
# by 0.1 in half precision, with 0.1 points of AP lost.
SCORE_TOLERANCE = {'none': verification.TOLERANCE, 'fp16': 0.25, 'dynamic': 0.3, 'int8_float_heads': 0.5, 'int8': 0.5}
QUANT_TYPES = tuple(SCORE_TOLERANCE)
CALIBRATED = ('int8_float_heads', 'int8')
DTYPES = {'float32': tf.float32, 'uint8': tf.uint8}


@dataclasses.dataclass(frozen=True)
class Options:
  """Settings of the conversion.

  Attributes:
    quant_type: 'none' (float32), 'fp16' (weights in half precision), 'dynamic' (weights in int8, activations in float),
      'int8' (both in int8, with calibration; normalization and whatever follows the heads in float) or
      'int8_float_heads' (the same, but the heads in float as well).
    nms: 'builtin' (the model's NMS in builtin operators), 'post_process' (TFLite_Detection_PostProcess) or
      'none' (the file gives `box_encodings` and `class_scores`).
    input_dtype: 'float32' or 'uint8'.
    output_dtype: 'float32', or 'uint8' for 'int8' without NMS: then nothing at all is in float.
    tolerance: largest error of a score; None: `SCORE_TOLERANCE`.
  """

  quant_type: str = 'none'
  nms: str = 'builtin'
  input_dtype: str = 'float32'
  output_dtype: str = 'float32'
  tolerance: float | None = None

  def __post_init__(self):
    if self.quant_type not in QUANT_TYPES:
      raise ValueError(f'quant_type {self.quant_type!r} is not one of {", ".join(QUANT_TYPES)}.')
    if self.nms not in signatures.TFLITE_NMS:
      raise ValueError(f'nms {self.nms!r} is not one of {", ".join(signatures.TFLITE_NMS)}.')
    for name in ('input_dtype', 'output_dtype'):
      if getattr(self, name) not in DTYPES:
        raise ValueError(f'{name} {getattr(self, name)!r} is not one of {", ".join(DTYPES)}.')
    if self.is_whole and (self.quant_type != 'int8' or self.nms != 'none'):
      raise ValueError("output_dtype 'uint8' needs quant_type 'int8' and nms 'none': NMS is in float.")

  @property
  def is_whole(self) -> bool:
    """Whether everything is quantized, from the image to the outputs."""
    return self.output_dtype == 'uint8'


def export_tflite(
  source: Source,
  tflite_path: str,
  options: Options | None = None,
  images: Sequence[np.ndarray] = (),
  accept: Callable[[str], Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
  """Converts a detector, compares the file with it, and writes the file and its JSON.

  Args:
    source: the detector.
    tflite_path: file to write, '.tflite'; an existing one is replaced once the new one has passed.
    options: how to convert.
    images: uint8 [height, width, 3] images; int8 is calibrated with them, and the first few check the result.
      Without any, two photographs check it.
    accept: called with the path of the finished file before it gets its name; may raise, then nothing is left. What it
      returns goes into the JSON file, too.

  Returns:
    What the JSON file holds: size, operators, signature, quantization, labels, post-processing, errors.

  Raises:
    VerificationError: weights are not finite, or the file disagrees with the model. Nothing is written.
    OSError, ValueError: an argument that cannot be, or something else in the place of the files.
  """
  options = options or Options()
  tflite_files.check_place(tflite_path)
  num_distinct = calibration.count_distinct(images) if options.quant_type in CALIBRATED else 0
  if options.quant_type in CALIBRATED and num_distinct < calibration.MIN_IMAGES:
    raise ValueError(
      f'{options.quant_type} needs distinct images to calibrate with, at least {calibration.MIN_IMAGES}, and there'
      f' are {num_distinct}.'
    )
  num_exits = anytime_tflite.num_exits(source.model)
  if num_exits and options.is_whole:
    raise ValueError("output_dtype 'uint8' is for one exit: states would lose too much; choose one with exit_stage.")
  expected = verification.reference(source, images[:4])
  best = float(expected.class_scores.max())
  if options.quant_type in CALIBRATED and best <= expected.score_threshold:
    raise verification.VerificationError(
      f'{source.origin}: the model finds nothing in the calibration images (best score {best:.2g} in those that were'
      ' looked at): it is not trained, or they are of another kind.'
    )
  inputs = calibration.to_inputs(images, source.input_size, source.keep_aspect_ratio)
  content = convert(source.model, source.input_size, options, inputs)
  metadata.check_portable(content)
  names = model_metadata.label_lines(source.labels, suppression.Settings.of(source.model).num_classes)
  content = model_metadata.add(content, names, f'{os.path.basename(source.origin)} ({options.quant_type})')
  errors = _verify(content, expected, options, num_exits)
  for exit_stage in range(1, num_exits or 1):
    of_exit = _verify(content, verification.reference(source.at_exit(exit_stage), images[:4]), options, exit_stage)
    errors = {name: float(np.maximum(error, of_exit[name])) for name, error in errors.items()}
  facts = {
    'source': source.origin,
    'quant_type': options.quant_type,
    'output_dtype': options.output_dtype,
    'size_bytes': len(content),
    layout.SHA256: hashlib.sha256(content).hexdigest(),
    'params': cost.count_params(source.model),
    'input_size': list(source.input_size),
    'keep_aspect_ratio': source.keep_aspect_ratio,
    **metadata.signature(content, signatures.exit_key(num_exits)),
    'num_exits': num_exits or 1,
    'nms': options.nms,
    'post_processing': dataclasses.asdict(suppression.Settings.of(source.model)),
    'anchors': _anchors(source.model),
    'labels': [dict(label) for label in source.labels],
    'calibration_images': num_distinct,
    'checked_images': len(expected.images),
    'max_error': errors,
    'ops': metadata.count_ops(content),
  }
  facts = tflite_files.write(tflite_path, content, facts, accept)
  logging.info('%s: %d bytes, largest errors %s', tflite_path, len(content), errors)
  return facts


def export(source: Source, path: str, *, images: Sequence[np.ndarray] = (), **options: Any) -> str:
  """Writes a .tflite as `export_tflite` does, with `Options` by name; returns its path."""
  export_tflite(source, path, Options(**options), images)
  return path


def convert(
  model: Any, input_size: Sequence[int], options: Options, calibration_inputs: Sequence[np.ndarray] = ()
) -> bytes:
  """Converts a detector to the content of a .tflite.

  Args:
    model: the detector.
    input_size: height and width.
    options: how to convert.
    calibration_inputs: float32 [1, height, width, 3] images, 0 to 255, for 'int8'.
  """
  exported = anytime_module.build(model, input_size, batch_size=1)
  tail = {
    'builtin': lambda: suppression.builtin(model, input_size),
    'post_process': lambda: suppression.post_process(model, input_size),
    'none': lambda: suppression.raw,
  }[options.nms]()
  # The converter turns the input of a whole integer model into integers itself.
  dtype = DTYPES['float32' if options.is_whole else options.input_dtype]

  with contextlib.ExitStack() as stack:
    if anytime_tflite.num_exits(model):
      with anytime_tflite.shared_kernels(model):
        functions = anytime_tflite.functions(exported, tail, dtype)
      converter = stack.enter_context(anytime_tflite.converter(exported, functions))
    else:
      functions = {}
      detect = anytime_tflite.exit_function(exported, tail, dtype)
      carrier = module.variables_alone(exported)
      converter = tf.lite.TFLiteConverter.from_concrete_functions([detect.get_concrete_function()], carrier)
    converter.allow_custom_ops = options.nms == 'post_process'
    if options.quant_type != 'none':
      converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if options.quant_type == 'fp16':
      converter.target_spec.supported_types = [tf.float16]
    if options.quant_type in CALIBRATED:

      def representative_dataset():
        for inputs in calibration_inputs:
          if options.is_whole:
            inputs = quantization.with_full_range(inputs)
          image = tf.saturate_cast(tf.round(inputs), dtype).numpy() if dtype.is_integer else inputs
          yield from anytime_tflite.samples(functions, image) if functions else [[image]]

      if options.is_whole:
        content = quantization.quantize_whole(converter, representative_dataset, DTYPES[options.input_dtype])
      else:
        scopes = _head_names(model) if options.quant_type == 'int8_float_heads' else ()
        content = quantization.quantize(converter, representative_dataset, scopes)
    else:
      content = converter.convert()
  if functions:
    content = sharing.share_buffers(content)
  count = suppression.Settings.of(model).max_detections
  shapes = dict(zip(signatures.TFLITE_DETECTIONS, ([1, count, 4], [1, count], [1, count], [1]), strict=True))
  return output_order.fix_outputs(content, dict.fromkeys(signatures.TFLITE_RAW) if options.nms == 'none' else shapes)


def run(
  content: bytes, inputs: np.ndarray, exit_stage: int | None = None, stepwise: bool = False
) -> dict[str, np.ndarray]:
  """Runs a file on one letterboxed image.

  Args:
    content: the file's content.
    inputs: float32 [1, height, width, 3], 0 to 255; rounded where the file takes uint8.
    exit_stage: which exit of an anytime detector; None for a file of a detector with one.
    stepwise: come to the exit by refining.

  Returns:
    The outputs of its signature, and in any case the raw `box_encodings` and `class_scores`.
  """
  with warnings.catch_warnings():
    # It warns of the memory that keeping the raw outputs costs.
    warnings.simplefilter('ignore', UserWarning)
    interpreter = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
  key = signatures.exit_key(exit_stage)
  detail = interpreter.get_signature_runner(key).get_input_details()['inputs']
  if np.issubdtype(detail['dtype'], np.integer):
    inputs = np.clip(np.rint(inputs), 0, 255)
  arguments = {'inputs': inputs.astype(detail['dtype'])}
  if stepwise:
    key = signatures.detect_key(exit_stage)
    for step in signatures.steps_to(exit_stage):
      arguments = interpreter.get_signature_runner(step)(**arguments)
  runner = interpreter.get_signature_runner(key)
  details = runner.get_output_details()
  outputs = {name: tflite_runner.to_real(value, details[name]) for name, value in runner(**arguments).items()}
  if 'box_encodings' not in outputs:
    encodings, classes, are_logits, graph = metadata.raw_outputs(content, key)
    outputs['box_encodings'] = interpreter.get_tensor(encodings, graph)
    classes = interpreter.get_tensor(classes, graph)
    outputs['class_scores'] = tf.sigmoid(classes).numpy() if are_logits else classes
  return outputs


def _head_names(model: Any) -> list[str]:
  """Names of the layers that are the heads."""
  return [head.name for head in getattr(model, 'heads', [model.head])]


def _anchors(model: Any) -> dict[str, Any]:
  """Returns the parameters of the anchors, for clients that decode the raw outputs."""
  config = model.get_config()
  return {key: config[key] for key in ('min_level', 'max_level', 'num_scales', 'aspect_ratios', 'anchor_size')}


def _verify(
  content: bytes, expected: verification.Reference, options: Options, exit_stage: int | None = None
) -> dict[str, float]:
  """Runs the file, or one exit of it, on the reference's images; returns the largest error of each raw output."""
  if exit_stage is None:
    return _verify_way(content, expected, options)
  ways = [_verify_way(content, expected, options, exit_stage, stepwise) for stepwise in (False, True)]
  return {name: float(np.maximum(*(errors[name] for errors in ways))) for name in ways[0]}


def _verify_way(content, expected, options, exit_stage=None, stepwise=False):
  what = f'The TFLite file ({options.quant_type})'
  if exit_stage is not None:
    what += f', exit {exit_stage}' + (', by refining,' if stepwise else '')
  outputs = [run(content, expected.inputs[row : row + 1], exit_stage, stepwise) for row in range(len(expected.images))]
  errors = {
    name: verification.max_error(getattr(expected, name), np.concatenate([output[name] for output in outputs]))
    for name in ('box_encodings', 'class_scores')
  }
  tolerance = options.tolerance or SCORE_TOLERANCE[options.quant_type]
  verification.check_errors({'class_scores': errors['class_scores']}, tolerance, what)
  # An image rounded to whole numbers is another image.
  exact = options.quant_type == 'none' and options.input_dtype == 'float32'
  limit = verification.TOLERANCE if exact else np.finfo(np.float32).max
  verification.check_errors({'box_encodings': errors['box_encodings']}, limit, what)
  if exact and options.nms == 'builtin':
    for row, output in enumerate(outputs):
      verification.check_detections(expected, row, _to_original(output, expected, row), what)
  return errors


def _to_original(
  outputs: Mapping[str, np.ndarray], expected: verification.Reference, row: int
) -> dict[str, np.ndarray]:
  """Converts detections to pixels of the image, without those beside it, and classes from 1."""
  boxes = outputs['detection_boxes'] * np.tile(expected.inputs.shape[1:3], 2).astype(np.float32)
  outputs = {**outputs, 'detection_boxes': boxes, 'detection_classes': outputs['detection_classes'] + 1}
  return signatures.detections_of(module.detections_in_image(outputs, expected.image_info[row : row + 1]))
