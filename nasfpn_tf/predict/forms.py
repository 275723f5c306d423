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

"""The forms that a trained detector has, a checkpoint, a SavedModel or a .tflite, behind one interface."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from official.vision.ops import anchor

from nasfpn_tf import zoo
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.data.records import label_names
from nasfpn_tf.modeling import postprocess
from nasfpn_tf.predict.predictor import Predictor

_FIELDS = ('boxes', 'scores', 'classes')


class CheckpointPredictor(Predictor):
  """The Keras model."""

  def __init__(self, model_dir: str, checkpoint: str | None = None):
    """Loads `checkpoint`, or the best of `model_dir`."""
    params = zoo.load_experiment(model_dir)
    super().__init__(label_names.of_model(model_dir, params.task.model.num_classes, params.task.train_data.input_path))
    model = zoo.load_detector(model_dir, checkpoint)
    size = tuple(params.task.model.input_size[:2])
    keep_aspect_ratio = params.task.validation_data.parser.keep_aspect_ratio

    self.num_exits = getattr(model, 'num_exits', 1)
    picture = tf.TensorSpec([None, None, 3], tf.uint8)

    @tf.function(input_signature=[picture])
    def detect(image):
      pixels, image_info = preprocess.letterbox(image, size, keep_aspect_ratio)
      outputs = model(pixels[tf.newaxis], image_shape=image_info[tf.newaxis, 1], training=False)
      return outputs, image_info

    @tf.function(input_signature=[picture])
    def begin(image):
      pixels, image_info = preprocess.letterbox(image, size, keep_aspect_ratio)
      return model.begin(pixels[tf.newaxis], image_info[tf.newaxis, 1]), image_info

    self._run, self._run_begin = detect, begin
    if self.num_exits > 1:
      self._run_refine, self._run_finish = tf.function(model.refine), tf.function(model.detect)

  def _detect(self, image):
    return self._first(*self._run(tf.constant(image)))

  def _begin(self, image):
    return self._run_begin(tf.constant(image))

  def _refine(self, value, exit_stage):
    state, image_info = value
    return self._run_refine(state), image_info

  def _finish(self, value, exit_stage):
    state, image_info = value
    return self._first(self._run_finish(state), image_info)

  def _first(self, outputs, image_info):
    """Detections of the only picture of a batch."""
    count = int(outputs['num_detections'][0])
    boxes, scores, classes = (outputs[f'detection_{key}'][0, :count].numpy() for key in _FIELDS)
    return _to_picture(boxes, image_info.numpy()), scores, classes


class SavedModelPredictor(Predictor):
  """A SavedModel of `export_saved_model.py`."""

  def __init__(self, directory: str):
    """Loads the SavedModel in `directory`; a ValueError where it is another's."""
    loaded = tf.saved_model.load(directory)
    self._run, raw = (loaded.signatures.get(name) for name in ('image_tensor', 'raw'))
    self._loaded = loaded  # A signature does not keep its variables alive.
    if self._run is None or raw is None or 'detection_boxes' not in self._run.structured_outputs:
      raise ValueError(f'{directory}: no signature image_tensor with detections; was it made by export_saved_model.py?')
    # There is no column for the background.
    super().__init__(label_names.of_model(directory, raw.structured_outputs['class_logits'].shape[-1] + 1))
    self._copies = self._run.structured_input_signature[1]['inputs'].shape[0] or 1
    self.num_exits = sum(name.startswith('exit_') for name in loaded.signatures) or 1

  def _detect(self, image):
    return self._first(self._run(inputs=self._batch(image)))

  def _begin(self, image):
    return self._loaded.signatures['begin'](inputs=self._batch(image))

  def _refine(self, value, exit_stage):
    return self._loaded.signatures[f'refine_{exit_stage}'](**value)

  def _finish(self, value, exit_stage):
    return self._first(self._loaded.signatures[f'detect_{exit_stage}'](**value))

  def _batch(self, image):
    return tf.constant(np.repeat(image[np.newaxis], self._copies, axis=0))

  def _first(self, outputs):
    count = int(outputs['num_detections'][0])
    return tuple(outputs[f'detection_{key}'][0, :count].numpy() for key in _FIELDS)


class TFLitePredictor(Predictor):
  """A .tflite of `export_tflite.py`, with the JSON file beside it."""

  def __init__(self, path: str, num_threads: int | None = None):
    """Loads `path`; a FileNotFoundError or ValueError where it or its JSON file is missing or another's."""
    # The import takes a while and prints; only this form needs it.
    from ai_edge_litert.interpreter import Interpreter

    sidecar = os.path.splitext(path)[0] + '.json'
    try:
      with open(sidecar, encoding='utf-8') as file:
        facts = json.load(file)
      super().__init__(facts['labels'])
      self._size = tuple(facts['input_size'])
      self._keep_aspect_ratio = facts['keep_aspect_ratio']
      self._options, anchors, self._nms = facts['post_processing'], facts['anchors'], facts['nms']
      num_classes, described = self._options['num_classes'], [*facts['inputs'], *facts['outputs']]
    except FileNotFoundError as error:
      raise FileNotFoundError(
        f'{sidecar} is missing, which says what {path} is: export_tflite.py writes it beside the .tflite; keep both'
        ' together. Files of other programs have none and are not read.'
      ) from error
    except (ValueError, KeyError, TypeError) as error:
      raise ValueError(f'{sidecar}: not written by export_tflite.py ({type(error).__name__}: {error}).') from error
    if self._nms not in ('builtin', 'post_process', 'none'):
      raise ValueError(f'{sidecar}: nms {self._nms!r} is not known.')
    label_names.check(facts['labels'], num_classes + 1, sidecar)
    self._runners = {}
    self._anchors = _flat_anchors(anchors, self._size) if self._nms == 'none' else None
    num_threads = num_threads or os.cpu_count() or 1
    if self._nms == 'post_process' and num_threads < num_classes:
      num_threads = 1  # With several threads, but fewer than classes, the operator leaves a class out.
    try:
      self._interpreter = Interpreter(model_path=path, num_threads=num_threads)
    except (ValueError, RuntimeError) as error:
      raise ValueError(f'{path}: LiteRT cannot load it: {error}') from error
    self.num_exits = facts.get('num_exits', 1)
    try:
      self._run = self._runner(f'exit_{self.num_exits}' if self.num_exits > 1 else None)
      details = {**self._run.get_input_details(), **self._run.get_output_details()}
      is_described = {name: _describe(detail) for name, detail in details.items()} == {
        entry['name']: (entry['shape'], entry['dtype']) for entry in described
      }
    except (ValueError, KeyError, TypeError):  # No such signature, or a description of another kind.
      is_described = False
    if not is_described:
      raise ValueError(
        f'{path}: is not the file that {sidecar} describes; keep each .tflite with the JSON file that export_tflite.py'
        ' wrote for it.'
      )
    self._dtype = details['inputs']['dtype']
    self._scales = {name: detail['quantization'] for name, detail in self._run.get_output_details().items()}

  def _detect(self, image):
    inputs, image_info = self._letterbox(image)
    return self._found(self._run(inputs=inputs), image_info)

  def _begin(self, image):
    inputs, image_info = self._letterbox(image)
    return self._runner('begin')(inputs=inputs), image_info

  def _refine(self, value, exit_stage):
    features, image_info = value
    return self._runner(f'refine_{exit_stage}')(**features), image_info

  def _finish(self, value, exit_stage):
    features, image_info = value
    return self._found(self._runner(f'detect_{exit_stage}')(**features), image_info)

  def _runner(self, key):
    """The runner of a signature; making one takes longer than running a small network."""
    if key not in self._runners:
      self._runners[key] = self._interpreter.get_signature_runner(key)
    return self._runners[key]

  def _letterbox(self, image):
    pixels, image_info = preprocess.letterbox(tf.constant(image), self._size, self._keep_aspect_ratio)
    # Back to 0..255: the file normalises, and its padding is the mean colour.
    inputs = (pixels * preprocess.STDDEV + preprocess.MEAN).numpy()[np.newaxis]
    if np.issubdtype(self._dtype, np.integer):
      inputs = np.clip(np.rint(inputs), 0, 255)
    return inputs.astype(self._dtype), image_info.numpy()

  def _found(self, outputs, image_info):
    outputs = {name: _to_real(value, self._scales[name]) for name, value in outputs.items()}
    boxes, scores, classes = self._suppress(outputs) if self._nms == 'none' else self._suppressed(outputs)
    return _to_picture(boxes, image_info), scores, classes

  def _suppressed(self, outputs):
    """Of a file with suppression: boxes relative to the input, classes from 0."""
    count = int(outputs['num_detections'][0])
    boxes, scores, classes = (outputs[f'detection_{key}'][0, :count] for key in _FIELDS)
    return boxes * np.tile(self._size, 2), scores, classes + 1

  def _suppress(self, outputs):
    """Of raw outputs, by the post-processing of the Keras model."""
    scores = np.clip(outputs['class_scores'], 1e-7, 1 - 1e-7)
    logits = np.pad(np.log(scores / (1 - scores)), [(0, 0), (0, 0), (1, 0)])  # Column 0 is the background.
    # All anchors as one level: a column of cells with one anchor each.
    flat = {'0': logits[:, :, np.newaxis]}, {'0': outputs['box_encodings'][:, :, np.newaxis]}, {'0': self._anchors}
    found = postprocess.generate_detections(
      *(({key: tf.constant(value, tf.float32) for key, value in level.items()}) for level in flat),
      image_shape=tf.constant([self._size], tf.float32),
      pre_nms_top_k=self._options['pre_nms_top_k'],
      pre_nms_score_threshold=self._options['score_threshold'],
      nms_iou_threshold=self._options['iou_threshold'],
      max_num_detections=self._options['max_detections'],
      box_coder_weights=self._options['box_coder_weights'],
      soft_nms_sigma=self._options['soft_nms_sigma'],
      use_class_agnostic_nms=self._options['use_class_agnostic_nms'],
    )
    count = int(found['num_detections'][0])
    return tuple(found[f'detection_{key}'][0, :count].numpy() for key in _FIELDS)


def load_predictor(path: str, checkpoint: str | None = None) -> Predictor:
  """Loads a detector in whatever form it is.

  Args:
    path: a .tflite, a SavedModel or the directory of its versions (the highest is taken), or a model_dir of a training.
    checkpoint: of a model_dir: prefix of a checkpoint; None: its best.

  Raises:
    FileNotFoundError: there is nothing of the kind.
    ValueError: it is there but broken, or not made by this project.
  """
  if path.endswith('.tflite'):
    if not os.path.isfile(path):
      raise FileNotFoundError(f'{path}: no such file.')
    return TFLitePredictor(path)
  if not os.path.isdir(path):
    raise FileNotFoundError(f'{path}: no such .tflite, SavedModel or model_dir.')
  versions = sorted(filter(str.isdigit, os.listdir(path)), key=int, reverse=True)
  for directory in [path, *(os.path.join(path, version) for version in versions)]:
    if os.path.isfile(os.path.join(directory, 'saved_model.pb')):
      return SavedModelPredictor(directory)
  if os.path.isfile(os.path.join(path, 'params.yaml')):
    return CheckpointPredictor(path, checkpoint)
  raise FileNotFoundError(f'{path}: has neither saved_model.pb (or numbered versions with it) nor params.yaml.')


def _describe(detail: Mapping[str, Any]) -> tuple[list[int], str]:
  """Shape and type of an input or output of a signature, as the JSON file has them."""
  return [int(side) for side in detail['shape']], detail['dtype'].__name__


def _to_real(value: np.ndarray, quantization: tuple[float, int]) -> np.ndarray:
  """An output of a file as real numbers; those that are not quantised have scale 0."""
  scale, zero_point = quantization
  return (value.astype(np.float32) - zero_point) * np.float32(scale) if scale else value


def _to_picture(boxes: np.ndarray, image_info: np.ndarray) -> np.ndarray:
  """From pixels of the network's input to pixels of the picture."""
  return (boxes + np.tile(image_info[3], 2)) / np.tile(image_info[2], 2)


def _flat_anchors(facts: Mapping[str, Any], size: Sequence[int]) -> np.ndarray:
  """float32 [1, num_anchors, 1, 4], yxyx in pixels of the input."""
  generate = anchor.build_anchor_generator(
    facts['min_level'], facts['max_level'], facts['num_scales'], facts['aspect_ratios'], facts['anchor_size']
  )
  return np.concatenate([boxes.numpy().reshape(1, -1, 1, 4) for boxes in generate(tuple(size)).values()], axis=1)
