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

"""Runs a .tflite as a predictor, without TensorFlow, whose threads would be missing in a forked process."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasfpn_tf import processor
from nasfpn_tf.artifacts import layout, signatures, tflite_runner
from nasfpn_tf.data.records import label_names
from nasfpn_tf.predict import letterbox, nms
from nasfpn_tf.predict.predictor import Predictor, to_image


class TFLitePredictor(Predictor):
  """A .tflite of `export_tflite.py`, with the JSON file beside it.

  Safe to share between threads, which wait for one another, and to use in a forked process; see `TFLiteRunner`.
  """

  def __init__(self, path: str, num_threads: int | None = None):
    """Loads `path`; a FileNotFoundError or ValueError where it or its JSON file is missing or another's."""
    facts, sidecar = layout.read_sidecar(path), layout.sidecar_path(path)
    try:
      labels = label_names.parse(facts['labels'], sidecar)
      label_names.check(labels, facts['post_processing']['num_classes'] + 1, sidecar)
      super().__init__(labels)
      self._size = tuple(facts['input_size'])
      self._keep_aspect_ratio = bool(facts['keep_aspect_ratio'])
      self._options, anchors, self._nms = facts['post_processing'], facts['anchors'], facts['nms']
      num_classes, described = self._options['num_classes'], [*facts['inputs'], *facts['outputs']]
    except (LookupError, TypeError, AttributeError) as error:
      raise ValueError(f'{sidecar}: not written by export_tflite.py ({type(error).__name__}: {error}).') from error
    if self._nms not in signatures.TFLITE_NMS:
      raise ValueError(f'{sidecar}: nms {self._nms!r} is not known.')
    try:
      self._anchors = nms.anchor_boxes(anchors, self._size) if self._nms == 'none' else None
      if self._anchors is not None:  # Options of another kind fail now, not at the first image.
        few = self._anchors[0][:4]
        nms.generate_detections(
          np.zeros_like(few), np.ones([len(few), num_classes], np.float32), [few], self._size, self._options
        )
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError) as error:
      raise ValueError(
        f'{sidecar}: its anchors, input_size or post_processing are not those of a detector ({error}).'
      ) from error
    self._runner = tflite_runner.TFLiteRunner(path, _num_threads(self._nms, num_classes, num_threads))
    self.num_exits = facts.get('num_exits', 1)
    if not isinstance(self.num_exits, int) or self.num_exits < 1:
      raise ValueError(f'{sidecar}: num_exits must be a whole number from 1, not {self.num_exits!r:.60}.')
    self._key = signatures.exit_key(self.num_exits if self.num_exits > 1 else None)
    try:
      inputs, self._outputs = self._runner.input_details(self._key), self._runner.output_details(self._key)
      found = tflite_runner.describe({**inputs, **self._outputs})
      size = tuple(int(side) for side in inputs[signatures.INPUTS]['shape'][1:3])
      is_described = _by_name(found) == _by_name(described) and self._size == size
    except (ValueError, LookupError, TypeError, AttributeError):  # No such signature, or a description of another kind.
      is_described = False
    if not is_described:
      raise ValueError(
        f'{path}: is not the file that {sidecar} describes; keep each .tflite with the JSON file that export_tflite.py'
        ' wrote for it.'
      )
    self._size, self._dtype = size, inputs[signatures.INPUTS]['dtype']

  def _detect(self, image):
    inputs, image_info = self._letterbox(image)
    return self._found(self._runner.run(self._key, inputs=inputs), image_info)

  def _begin(self, image):
    inputs, image_info = self._letterbox(image)
    return self._runner.run(signatures.BEGIN, inputs=inputs), image_info

  def _refine(self, value, exit_stage):
    features, image_info = value
    return self._runner.run(signatures.refine_key(exit_stage), **features), image_info

  def _finish(self, value, exit_stage):
    features, image_info = value
    return self._found(self._runner.run(signatures.detect_key(exit_stage), **features), image_info)

  def _letterbox(self, image):
    # From 0 to 255: the file normalizes, and its padding is the mean color.
    inputs, image_info = letterbox.letterbox(image, self._size, self._keep_aspect_ratio)
    if np.issubdtype(self._dtype, np.integer):
      inputs = np.clip(np.rint(inputs), 0, 255)
    return inputs[np.newaxis].astype(self._dtype), image_info

  def _found(self, outputs, image_info):
    outputs = {name: tflite_runner.to_real(value, self._outputs[name]) for name, value in outputs.items()}
    boxes, scores, classes = self._suppress(outputs) if self._nms == 'none' else self._suppressed(outputs)
    return to_image(boxes, image_info), scores, classes

  def _suppressed(self, outputs):
    """Reads the detections of a file with NMS: boxes relative to the input, classes from 0."""
    found = signatures.detections_of(outputs)
    return found['boxes'] * np.tile(self._size, 2), found['scores'], found['classes'] + 1

  def _suppress(self, outputs):
    """Applies the post-processing of the Keras model to raw outputs."""
    raw = outputs['box_encodings'][0], outputs['class_scores'][0]
    return nms.generate_detections(*raw, self._anchors, self._size, self._options)


def _num_threads(nms: str, num_classes: int, num_threads: int | None) -> int:
  num_threads = num_threads or processor.num_cores()
  # With several threads, but fewer than classes, the operator leaves a class out.
  return 1 if nms == 'post_process' and num_threads < num_classes else num_threads


def _by_name(described: Sequence[Mapping[str, Any]]) -> dict[str, tuple[list[int], str]]:
  return {entry['name']: (entry['shape'], entry['dtype']) for entry in described}
