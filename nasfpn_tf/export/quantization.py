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

"""Quantizes to int8 after training, calibrated with images; decides what stays in float."""

import warnings
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np
import tensorflow as tf

from nasfpn_tf.export import metadata

# Calibrated arguments of a function, one image each.
Dataset = Callable[[], Iterable[Sequence[np.ndarray]]]

# In float: a quantized sigmoid has steps of 1/256, and where the levels are joined decoding and NMS begin.
# TOPK_V2 is part of the NMS; having two outputs it is not found by name.
_FLOAT_OPS = ['CONCATENATION', 'LOGISTIC', 'TOPK_V2']


def quantize(converter: tf.lite.TFLiteConverter, dataset: Dataset, float_scopes: Collection[str] = ()) -> bytes:
  """Quantizes to int8 except normalization, `_FLOAT_OPS` and everything after the heads, which stay in float.

  The converter's own switch quantizes all or nothing; its debugger takes exceptions.

  Args:
    converter: with `optimizations` set.
    dataset: gives the calibration images.
    float_scopes: names of layers that stay in float, too, with whatever follows them.
  """
  converter.representative_dataset = dataset
  options = tf.lite.experimental.QuantizationDebugOptions
  with warnings.catch_warnings():
    # TensorFlow's debugger warns that TensorFlow's interpreter is deprecated.
    warnings.simplefilter('ignore', UserWarning)
    debugger = tf.lite.experimental.QuantizationDebugger(
      converter=converter, debug_dataset=dataset, debug_options=options(denylisted_ops=_FLOAT_OPS)
    )
    nodes = metadata.names_outside_network(debugger.calibrated_model)
    nodes += metadata.names_from_scopes(debugger.calibrated_model, float_scopes)
    debugger.options = options(denylisted_ops=_FLOAT_OPS, denylisted_nodes=nodes)
  return debugger.get_nondebug_quantized_model()


def quantize_whole(converter: tf.lite.TFLiteConverter, dataset: Dataset, input_dtype: tf.DType) -> bytes:
  """Quantizes everything from the image (`input_dtype`) to uint8 outputs, for integer-only processors."""
  converter.representative_dataset = dataset
  converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
  converter.inference_input_type = input_dtype
  converter.inference_output_type = tf.uint8
  return converter.convert()


def with_full_range(inputs: np.ndarray) -> np.ndarray:
  """Sets the first pixels of an image to 0 and 255, so that calibration gives a uint8 input the scale 1."""
  inputs = inputs.copy()
  inputs[0, 0, 0], inputs[0, 0, 1] = 0.0, 255.0
  return inputs
