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

"""Defines the signatures of an anytime detector in a .tflite: one per exit, and those that refine step by step.

`exit_<k>` takes an image and returns detections like a file with one exit. `begin` takes an image and returns a state
of exit 1, `refine_<k>` takes a state of exit k - 1 and gives one of exit k, `detect_<k>` takes a state of exit k and
gives detections. A state is `level_<l>` float32 [1, height_l, width_l, num_filters] for each level, also in int8 files.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from nasfpn_tf.artifacts import signatures
from nasfpn_tf.data.input import preprocess
from nasfpn_tf.export import anytime_module, module
from nasfpn_tf.modeling import anytime

Function = Callable[..., Mapping[str, tf.Tensor]]


def num_exits(model: Any) -> int | None:
  """Returns the number of exits of a detector, or None if it has no exits."""
  return model.num_exits if isinstance(model, anytime.AnytimeRetinaNet) else None


@contextlib.contextmanager
def shared_kernels(model: anytime.AnytimeRetinaNet) -> Iterator[None]:
  """Makes functions traced in this context store the kernels of shared heads once; the last exit is as fast as without.

  The head of every other exit takes a multiplication and an addition behind each convolution instead.
  """
  with contextlib.ExitStack() as stack:
    for head in model.heads[:-1] if model.shares_heads else ():
      stack.enter_context(head.norms_apart())
    yield


def exit_function(exported: module.DetectionModule, tail: Function, dtype: tf.DType, exit_stage: int | None = None):
  """Returns the function from an image to detections.

  Args:
    exported: the detector.
    tail: from `box_encodings` and `class_logits` to detections; see `suppression`.
    dtype: of the image.
    exit_stage: None: of a detector with one exit.
  """

  @tf.function(input_signature=[exported.image_spec(dtype)])
  def detect(inputs):
    options = {} if exit_stage is None else {'exit_stage': exit_stage}
    raw = exported.raw(tf.cast(inputs, tf.float32), **options)
    return tail(raw['box_encodings'], raw['class_logits'])

  return detect


def functions(exported: anytime_module.AnytimeModule, tail: Function, dtype: tf.DType) -> dict[str, Any]:
  """Returns the concrete functions of all signatures by name; arguments as of `exit_function`."""
  states = {name: tf.TensorSpec(spec.shape, spec.dtype, name=name) for name, spec in exported.feature_specs.items()}

  @tf.function(input_signature=[exported.image_spec(dtype)])
  def begin(inputs):
    return exported.begin_normalized(preprocess.normalize(tf.cast(inputs, tf.float32)))

  found = {signatures.BEGIN: begin.get_concrete_function()}
  for k in range(1, exported.num_exits + 1):
    found[signatures.exit_key(k)] = exit_function(exported, tail, dtype, k).get_concrete_function()
    found[signatures.detect_key(k)] = _detect_function(exported, tail, k).get_concrete_function(**states)
    if k > 1:
      found[signatures.refine_key(k)] = _refine_function(exported, k).get_concrete_function(**states)
  return found


def _detect_function(exported: anytime_module.AnytimeModule, tail: Function, exit_stage: int):
  @tf.function
  def detect(**state):
    raw = exported.raw_of(state, exit_stage)
    return tail(raw['box_encodings'], raw['class_logits'])

  return detect


def _refine_function(exported: anytime_module.AnytimeModule, exit_stage: int):
  @tf.function
  def refine(**state):
    return exported.refine(state, exit_stage)

  return refine


@contextlib.contextmanager
def converter(exported: module.DetectionModule, functions: Mapping[str, Any]) -> Iterator[tf.lite.TFLiteConverter]:
  """Creates a converter of several signatures; TensorFlow's public API has one only for a SavedModel."""
  with tempfile.TemporaryDirectory() as directory:
    tf.saved_model.save(module.variables_alone(exported), directory, dict(functions), module.NO_GRADIENTS)
    yield tf.lite.TFLiteConverter.from_saved_model(directory, signature_keys=list(functions))


def samples(functions: Mapping[str, Any], image: np.ndarray) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
  """Yields the calibration sample of every signature for an image: its name and its arguments."""
  inputs = {'inputs': image}
  state = None
  for k in range(1, signatures.count_exits(functions) + 1):
    step = signatures.steps_to(k)[-1]
    arguments = inputs if state is None else state
    yield signatures.exit_key(k), inputs
    yield step, arguments
    outputs = functions[step](**{name: tf.constant(value) for name, value in arguments.items()})
    state = {name: value.numpy() for name, value in outputs.items()}
    yield signatures.detect_key(k), state
